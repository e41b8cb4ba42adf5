package cache

import (
	"context"
	"io"
	"math"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/body"
	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/httpstatus"
)

// isConfirmed reports whether a 304 with this header is about e. It must not rename a version whose slices have the name in their
// keys.
func (e *Entry) isConfirmed(h304 http.Header) bool {
	if e.Sliced > 0 {
		name, value := rules.Strong(e.Header)
		if now, is := rules.Strong(rules.Updated(e.Header, h304)); now != name || is != value {
			return false
		}
	}
	return rules.Confirms(h304, e.Header)
}

// confirmed lands with the stored answer that the origin has confirmed.
func (o *flight) confirmed(resp *http.Response) outcome {
	defer o.cancel(nil)
	resp.Body.Close()
	t, now := o.t, *o.kept
	e := &now
	e.Header = rules.Updated(e.Header, resp.Header)
	e.arrived(resp.Header, o.asked)
	delete(e.Header, "Set-Cookie")
	c := rules.ParseControl(e.Header)
	// The origin has chosen this answer for this request, whichever fields it varies by from now on.
	vary, ok := o.varyOf(e.Header)
	if !ok || o.isPersonal(c, resp.Header, e.Header) {
		t.unshareable.add(unshareableFor, o.key)
		o.unstore()
		return o.land(outcome{})
	}
	if o.part == nil {
		e.Vary = vary
	}
	_, err := o.judge(e)
	stored := err == nil && e.TTL >= 0 && o.store(e) == nil
	t.count.revalidations.Add(1)
	out := o.land(outcome{entry: e, how: statusConfirmed})
	if stored {
		o.lead()
	}
	o.report(Fill{Status: http.StatusNotModified, Stored: stored})
	return out
}

// rescued lands with the stale answer if the origin has failed and that answer may still be served. status is the status of the
// origin's answer, 0 if there was none.
func (o *flight) rescued(status int) (out outcome, ok bool) {
	e := o.kept
	if e == nil || e.Age()-e.TTL > o.t.ifError(e, status) {
		return outcome{}, false
	}
	how := statusStale
	if status != 0 {
		how += "; fwd-status=" + strconv.Itoa(status)
	}
	o.t.failing.add(failingFor, o.key)
	o.cancel(nil)
	return o.land(outcome{entry: e, how: how}), true
}

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

// toStore reads a fill to its end, for nobody, with a share of its own. It stops if the fill turns out too long to be kept.
func (f *fill) toStore(ctx context.Context) {
	v := &viewer{ctx: ctx}
	defer v.Close()
	defer f.o.disown()
	if f.show(v, 0, math.MaxInt64, true) {
		v.sent = new(atomic.Uint64) // to nobody
		for err := error(nil); err == nil && !f.isDetached(); {
			_, err = io.CopyN(io.Discard, v, body.LargeChunk)
		}
	}
}

// disown is for the cache's own reader of a fill, right before it leaves.
func (o *flight) disown() {
	o.t.mu.Lock()
	o.own = 0
	o.t.recount(o)
	o.t.mu.Unlock()
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
