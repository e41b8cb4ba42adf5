package cache

import (
	"context"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/body"
	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
)

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
	// The origin has chosen this answer for this request, whatever fields it varies by from now on.
	vary, ok := o.varyOf(e.Header)
	if !ok || c.NoStore || c.Private || resp.Header["Set-Cookie"] != nil && !o.forAll(e.Header) {
		t.setAlone(o.key)
		o.unstore()
		return o.land(outcome{})
	}
	if o.part == nil {
		e.Vary = vary
	}
	_, err := t.judge(o, e)
	stored := err == nil && e.TTL >= 0 && o.store(e) == nil
	t.count.revalidations.Add(1)
	out := o.land(outcome{entry: e, how: statusConfirmed})
	o.report(Fill{Status: http.StatusNotModified, Stored: stored})
	return out
}

// rescued lands with the stale answer where the origin has failed, if that may still be served. status is that of the origin's
// answer, 0 if there was none.
func (o *flight) rescued(status int) (out outcome, ok bool) {
	e := o.kept
	if e == nil || e.Age()-e.TTL > o.t.ifError(e, status) {
		return outcome{}, false
	}
	how := statusStale
	if status != 0 {
		how += "; fwd-status=" + strconv.Itoa(status)
	}
	o.t.setFailing(o.key)
	o.cancel(nil)
	return o.land(outcome{entry: e, how: how}), true
}

// renew asks the origin in the background for what was just served stale, unless somebody does already.
func (t *Transport) renew(r *http.Request, have found) {
	t.mu.Lock()
	if t.flights[have.key] != nil || t.fills[have.key] != nil || len(t.flights)+t.filling >= t.maxFills() ||
		t.failing.has(have.key, time.Now(), failingFor) {
		t.mu.Unlock()
		return
	}
	r = r.WithContext(context.WithoutCancel(r.Context()))
	r.Method, r.Header = http.MethodGet, fillHeader(r)
	o := t.newFlight(r, have)
	o.waiters++
	landed := t.group.DoChan(have.key, o.run)
	t.mu.Unlock()
	go func() {
		defer o.served()
		res := <-landed
		out, _ := res.Val.(outcome)
		if res.Err == nil && out.how != statusHit {
			t.count.misses.Add(1)
		}
		if out.fill != nil {
			out.fill.toStore(r.Context())
		}
	}()
}

// toStore reads a fill to its end on nobody's behalf, with a share of its own, unless it turns out too long to be kept.
func (f *fill) toStore(ctx context.Context) {
	v := &viewer{ctx: ctx}
	f.show(v, 0, math.MaxInt64)
	defer v.Close()
	for err := error(nil); err == nil && !f.isDetached(); {
		_, err = io.CopyN(io.Discard, v, body.LargeChunk)
	}
}
