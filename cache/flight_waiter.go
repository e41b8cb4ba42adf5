package cache

import (
	"context"
	"net/http"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
)

// waiter waits for the outcome of a flight. It is a viewer, or a goroutine of the cache.
type waiter struct {
	o    *flight
	r    *http.Request
	have lookupResult // what the Store had for r
	// private has an answer that cannot be shared. Only the viewer whose request the flight has sent gets it: the flight has
	// the sending end of the channel, and nobody else has the receiving end. Nil: it is for another.
	private <-chan *http.Response
}

// wait is for the outcome, or for the end of the request.
func (w *waiter) wait() (*http.Response, error) {
	select {
	case <-w.o.known:
		defer w.o.served()
		if w.o.err != nil {
			return nil, w.o.err
		}
		return w.answer(w.o.out)
	case <-w.r.Context().Done():
		w.leave()
		return nil, context.Cause(w.r.Context())
	}
}

// answer turns the outcome into the waiter's response.
func (w *waiter) answer(out outcome) (*http.Response, error) {
	t, r, isAsker := w.o.t, w.r, w.private != nil
	switch {
	case out.moved:
		return t.join(r, t.lookup(r, w.o.primary), r.Method != http.MethodHead)
	case out.entry != nil:
		return w.fromStore(out)
	case out.fill != nil && !rules.Selects(r.Header, out.fill.entry.Vary):
		vary := out.fill.entry.Vary
		out.fill.leave(1)
		return w.another(vary)
	case out.fill != nil && isAsker:
		t.count.misses.Add(1)
		return out.fill.follow(r, w.o.part, false)
	case out.fill != nil:
		t.count.joins.Add(1)
		return out.fill.follow(r, w.have.part, true)
	}
	if isAsker {
		if resp := w.take(); resp != nil {
			t.count.misses.Add(1)
			return resp, nil
		}
	}
	return t.passAlone(r)
}

// another asks for the variant that r selects, after the flight has learned that answers vary.
func (w *waiter) another(vary http.Header) (*http.Response, error) {
	o := w.o
	if o.key != o.primary {
		return o.t.passAlone(w.r)
	}
	have := w.have
	have.key, have.entry = variant(o.primary, vary, w.r.Header), nil
	return o.t.join(w.r, have, w.r.Method != http.MethodHead)
}

// fromStore serves the entry that the flight found or had confirmed, or the stale one after a failure.
func (w *waiter) fromStore(out outcome) (*http.Response, error) {
	t, part, how, isAsker := w.o.t, w.have.part, out.how, w.private != nil
	if how != statusHit && !isAsker && !out.large {
		how = statusShared
	}
	if !rules.Selects(w.r.Header, out.entry.Vary) {
		return w.another(out.entry.Vary)
	}
	resp := t.serve(w.r, lookupResult{key: keyOf(w.o.primary, out.entry), entry: out.entry, part: part}, how)
	switch {
	case resp == nil && part != nil:
		return part.get(t, w.r, w.have.key) // forgotten already; r alone would ask for the whole
	case resp == nil:
		return t.passAlone(w.r)
	case out.large:
		t.count.misses.Add(1)
		return resp, nil
	case out.how == statusHit:
		t.count.hits.Add(1)
	case isAsker:
		t.count.misses.Add(1)
	default:
		t.count.joins.Add(1)
	}
	if !out.entry.fresh() && out.how != statusConfirmed {
		t.count.stale.Add(1)
	}
	return resp, nil
}

// take returns the private answer. It returns nil if there is none, or if it is the whole although a part was requested.
func (w *waiter) take() *http.Response {
	o, ctx := w.o, w.r.Context()
	var resp *http.Response
	select {
	case resp = <-w.private:
	default:
		return nil
	}
	if w.r.Method == http.MethodHead || w.r.Header["Range"] != nil {
		o.discard(resp)
		return nil
	}
	stop := context.AfterFunc(ctx, func() { o.cancel(context.Cause(ctx)) })
	return single(o.t, o.req.Context(), func(err error) { stop(); o.cancel(err) }, w.r, resp, statusAlone)
}

// leave is for a waiter who goes before the answer comes. After the last one has left, the request goes on if others are likely
// to come for its answer; otherwise it is cancelled.
func (w *waiter) leave() {
	o, t := w.o, w.o.t
	t.mu.Lock()
	o.waiters-- // under the same lock as the rest: if two leave at once, one of them is the last
	f := o.fill
	if w.private != nil {
		o.asker = nil // nobody gets a private answer that comes now
	}
	if o.waiters == 0 && !o.landed && !o.mayGoOn() {
		o.bar()
	}
	t.recount(o)
	t.boundLeft(t.maxFills())
	e := o.done()
	t.mu.Unlock()
	giveBack(e)
	if f != nil {
		f.leave(1)
	}
	if w.private != nil {
		select {
		case resp := <-w.private:
			o.discard(resp)
		default:
		}
	}
}
