package cache

import (
	"context"
	"net/http"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/httpstatus"
)

// renew asks the origin in the background for an answer that was just served stale, unless somebody does so already.
func (t *Transport) renew(r *http.Request, have lookupResult) {
	if t.failing.has(have.key, failingFor) {
		return
	}
	r = r.WithContext(context.WithoutCancel(r.Context()))
	r.Method, r.Header = http.MethodGet, fillHeader(r)
	o, landed := t.begin(r, have, false)
	if o == nil {
		return
	}
	go func() {
		defer o.served()
		res := <-landed
		out := o.out
		if res.Err == nil && out.how != statusHit {
			t.count.misses.Add(1)
		}
		if out.fill != nil {
			out.fill.toStore(r.Context())
		}
	}()
}

const (
	// unshareableFor is how long later viewers need not wait to find out that an answer cannot be shared, and a Range of a large
	// object does not cause a request for the whole.
	unshareableFor = time.Minute
	// failingFor is how long viewers who can get a stale answer need not wait for the next failure of the origin.
	failingFor = time.Second
)

// mayWait reports whether a stale answer is served while the origin is asked (RFC 5861 section 3), or because it was just asked
// and failed.
func (t *Transport) mayWait(f lookupResult) bool {
	if f.entry.Status != http.StatusOK || f.entry.TTL == unproved {
		return false
	}
	c := rules.ParseControl(f.entry.Header)
	past := f.entry.Age() - f.entry.TTL
	if past <= c.Stale(c.StaleRevalidate, max(t.StaleWhileRevalidate, 0)) {
		return true
	}
	return past <= t.ifError(f.entry, 0) && t.failing.has(f.key, failingFor)
}

// ifError is how long past its TTL e is served when the origin fails with this status; 0: it did not answer (RFC 5861 section
// 4). A stored 404 or 410 is not served for longer.
func (t *Transport) ifError(e *Entry, status int) time.Duration {
	if e.Status != http.StatusOK || e.TTL == unproved {
		return -1
	}
	c, limit := rules.ParseControl(e.Header), t.StaleIfError
	if limit == 0 {
		limit = e.TTL
	}
	if httpstatus.IsMissing(status) {
		if c.StaleIfError = -1; t.StaleIfGone != 0 {
			limit = t.StaleIfGone
		} else {
			limit = 6 * e.TTL
		}
	}
	return c.Stale(c.StaleIfError, max(limit, 0))
}
