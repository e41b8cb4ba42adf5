package cache

import (
	"context"
	"net/http"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
)

// asker is the viewer whose request a flight has sent. An answer that cannot be shared is for this viewer alone: the flight has
// only the sending end of the channel, and nobody else has the receiving end.
type asker struct {
	o      *flight
	r      *http.Request
	answer <-chan *http.Response
}

// answer turns the outcome into a waiter's response. mine is nil for all but the asker.
func (o *flight) answer(r *http.Request, have lookupResult, out outcome, mine *asker) (*http.Response, error) {
	t, first := o.t, mine != nil
	switch {
	case out.moved:
		return t.join(r, t.lookup(r, o.primary), r.Method != http.MethodHead)
	case out.entry != nil:
		return o.fromStore(r, have, out, first)
	case out.fill != nil && !rules.Selects(r.Header, out.fill.entry.Vary):
		vary := out.fill.entry.Vary
		out.fill.leave(1)
		return o.another(r, have, vary)
	case out.fill != nil && first:
		t.count.misses.Add(1)
		return t.follow(r, o.part, out.fill, false)
	case out.fill != nil:
		t.count.joins.Add(1)
		return t.follow(r, have.part, out.fill, true)
	}
	if first {
		if resp := mine.take(); resp != nil {
			t.count.misses.Add(1)
			return resp, nil
		}
	}
	return t.passAlone(r)
}

// another asks for the variant that r selects, after the flight has learned that answers vary.
func (o *flight) another(r *http.Request, have lookupResult, vary http.Header) (*http.Response, error) {
	if o.key != o.primary {
		return o.t.passAlone(r)
	}
	have.key, have.entry = variant(o.primary, vary, r.Header), nil
	return o.t.join(r, have, r.Method != http.MethodHead)
}

// fromStore serves the entry that the flight found or had confirmed, or the stale one after a failure.
func (o *flight) fromStore(r *http.Request, have lookupResult, out outcome, first bool) (*http.Response, error) {
	t, how := o.t, out.how
	if how != statusHit && !first && !out.large {
		how = statusShared
	}
	if !rules.Selects(r.Header, out.entry.Vary) {
		return o.another(r, have, out.entry.Vary)
	}
	resp := t.serve(r, lookupResult{key: keyOf(o.primary, out.entry), entry: out.entry, part: have.part}, how)
	switch {
	case resp == nil && have.part != nil:
		return t.slice(r, have.key, have.part) // forgotten already; r alone would ask for the whole
	case resp == nil:
		return t.passAlone(r)
	case out.large:
		t.count.misses.Add(1)
		return resp, nil
	case out.how == statusHit:
		t.count.hits.Add(1)
	case first:
		t.count.misses.Add(1)
	default:
		t.count.joins.Add(1)
	}
	if !out.entry.fresh() && out.how != statusConfirmed {
		t.count.stale.Add(1)
	}
	return resp, nil
}

// take returns the answer as a response to the asker. It returns nil if there is no answer, or if it is the whole although a
// part was requested.
func (a *asker) take() *http.Response {
	var resp *http.Response
	select {
	case resp = <-a.answer:
	default:
		return nil
	}
	if a.r.Method == http.MethodHead || a.r.Header["Range"] != nil {
		a.o.discard(resp)
		return nil
	}
	stop := context.AfterFunc(a.r.Context(), func() { a.o.cancel(context.Cause(a.r.Context())) })
	return a.o.t.single(a.o.req.Context(), func(err error) { stop(); a.o.cancel(err) }, a.r, resp, statusAlone)
}

// leave is for a waiter who goes before the answer comes. mine is not nil if it is the asker. After the last one has left, the
// request goes on if others are likely to come for its answer; otherwise it is cancelled.
func (o *flight) leave(mine *asker) {
	t := o.t
	t.mu.Lock()
	o.waiters-- // under the same lock as the rest: if two leave at once, one of them is the last
	f := o.fill
	if mine != nil {
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
	if mine != nil {
		select {
		case resp := <-mine.answer:
			o.discard(resp)
		default:
		}
	}
}

// served is for a waiter who no longer needs the flight.
func (o *flight) served() {
	o.t.mu.Lock()
	o.waiters--
	e := o.done()
	o.t.mu.Unlock()
	giveBack(e)
}

// done returns the Entry to give back when nobody needs it: neither a waiter nor the flight itself. The caller holds
// Transport.mu.
func (o *flight) done() (e *Entry) {
	if o.landed && o.waiters == 0 {
		e, o.kept = o.kept, nil
	}
	return e
}
