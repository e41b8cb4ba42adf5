package cache

import (
	"context"
	"net/http"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// asker is the viewer whose request a flight has sent. An answer that cannot be shared is for this viewer alone: the flight has
// the sending end of the channel only, and the receiving end is in nobody else's hands.
type asker struct {
	o      *flight
	r      *http.Request
	answer <-chan *http.Response
}

// answer is what a waiter makes of the outcome. mine is nil for all but the asker.
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

// another asks for the variant that r selects, where the flight has learned that answers vary.
func (o *flight) another(r *http.Request, have lookupResult, vary http.Header) (*http.Response, error) {
	if o.key != o.primary {
		return o.t.passAlone(r)
	}
	have.key, have.entry = variant(o.primary, vary, r.Header), nil
	return o.t.join(r, have, r.Method != http.MethodHead)
}

// fromStore serves what the flight found or had confirmed, or what is left when it failed.
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

// take returns the answer as a response to the asker, nil if there is none, or it is the whole where a part was asked for.
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

// leave is for a waiter who goes before the answer comes; mine is not nil if it is the asker. When the last one goes, the
// question goes on if others are likely to come for what it brings; else it is taken back.
func (o *flight) leave(mine *asker) {
	t := o.t
	t.mu.Lock()
	o.waiters-- // under the same lock as what follows from it: of two who leave at once, one is the last
	f, last := o.fill, o.waiters == 0 && !o.landed
	if mine != nil {
		o.asker = nil // a private answer that comes now is for nobody
	}
	if last = last && !o.abandon(); last {
		o.bar()
	}
	e := o.done()
	t.mu.Unlock()
	giveBack(e)
	if f != nil {
		f.leave(1)
	}
	if last {
		o.cancel(errAbandoned)
	}
	if mine != nil {
		select {
		case resp := <-mine.answer:
			o.discard(resp)
		default:
		}
	}
}

// mostOrphans is how many questions that nobody waits for are left to go on, of one host.
const mostOrphans = 16

// abandon lets a question go on for which nobody waits: a player that has given up comes again, or the next one does, and an
// origin that is slower than they are patient would never be done. It is within the origin's time to answer, and false where
// nothing would be kept, where there are many, and for a blocking reload of a stream that nobody watches. The caller holds
// Transport.mu.
func (o *flight) abandon() bool {
	t, host := o.t, o.req.URL.Host
	if t.Store == nil || o.barred.Load() || hls.IsBlocking(o.req.URL.RawQuery) || t.orphans[host] >= mostOrphans {
		return false
	}
	if t.orphans == nil {
		t.orphans = map[string]int{}
	}
	t.orphans[host]++
	o.orphan = true
	return true
}

// adopt counts it no longer among those that nobody waits for. The caller holds Transport.mu.
func (o *flight) adopt() {
	if !o.orphan {
		return
	}
	o.orphan = false
	host := o.req.URL.Host
	if o.t.orphans[host]--; o.t.orphans[host] == 0 {
		delete(o.t.orphans, host)
	}
}

// served is for a waiter who needs the flight no longer.
func (o *flight) served() {
	o.t.mu.Lock()
	o.waiters--
	e := o.done()
	o.t.mu.Unlock()
	giveBack(e)
}

// done returns what to let go of when nobody needs it: no waiter, nor the flight itself. The caller holds Transport.mu.
func (o *flight) done() (e *Entry) {
	if o.landed && o.waiters == 0 {
		e, o.kept = o.kept, nil
	}
	return e
}
