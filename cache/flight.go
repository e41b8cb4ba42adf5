package cache

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/sharing"
)

// flight is one request to the origin. It is made for one viewer, and all viewers of its key share it until the header of the
// answer comes.
type flight struct {
	question
	cancel context.CancelCauseFunc
	asked  time.Time   // when req was sent. Changed below Transport.mu
	asks   bool        // req asks whether kept is still valid
	early  bool        // no viewer has asked for it yet
	barred atomic.Bool // the answer is not stored: it was purged, given up, or displaced by a later one

	known chan struct{} // closed when the next two are set, for all who wait
	out   outcome
	err   error

	// Below Transport.mu.
	waiters int                   // viewers, and own
	own     int                   // 1: one of the waiters, or of the readers of its fill, is a goroutine of the cache
	landed  bool                  // its outcome is known
	fill    *fill                 // each waiter holds a share of it
	asker   chan<- *http.Response // takes an answer that cannot be shared; nil: its asker has left, or there is none
	kept    *Entry                // held until all waiters have their answers: the Entry from before, or the one found after all
}

// outcome is the result of a flight, for all its waiters: a fill, an Entry, or nothing that can be shared.
type outcome struct {
	fill  *fill  // an answer on its way; each waiter holds a share
	entry *Entry // an entry of the Store; the flight holds it
	how   string // the Cache-Status that goes with entry
	large bool   // entry was made of this answer, and its body is kept in slices
	moved bool   // answers vary, as the Store now knows: each waiter looks there again
}

// newFlight makes a flight that will send the request of r. It must be listed or scrapped. Making it takes as long as
// everything else that a miss does below Transport.mu, so it is not done there.
func newFlight(t *Transport, r *http.Request, have lookupResult) *flight {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	req := r.WithContext(ctx)
	req.Method, req.Header, req.Body, req.GetBody = http.MethodGet, fillHeader(r), nil, nil
	o := &flight{
		question: question{t: t, primary: have.primary, key: have.key, part: have.part, req: req},
		cancel:   cancel, known: make(chan struct{}),
	}
	o.anonymous = !t.PerViewer && sharing.IsAnonymous(ctx)
	if o.part != nil {
		o.req = req.WithContext(o.part.with(ctx))
		o.part.ask(req.Header)
	}
	if borrow(have.entry) {
		o.kept = have.entry
		o.asks = rules.Conditional(req.Header, o.kept.Header)
	}
	return o
}

// scrap gives up a flight that was never listed. Nil is allowed.
func (o *flight) scrap() {
	if o != nil {
		o.cancel(nil)
		giveBack(o.kept)
	}
}

// run is the function that singleflight calls, in a goroutine of its own. The goroutine that has asked also reads the body, so
// waiters learn the outcome from the flight, before run returns.
func (o *flight) run() (any, error) {
	growStack(0)
	if f := o.fly(); f != nil {
		f.run()
	}
	return nil, nil
}

// growStack makes room on the stack of a new goroutine. If it grew later, in three steps, many frames would have to be copied.
//
//go:noinline
func growStack(i int) byte {
	var room [10 << 10]byte
	return room[i]
}

// fly asks the origin, and returns the fill that is to be run, if the outcome is one.
func (o *flight) fly() *fill {
	returned := false
	o.err = errExited // of a hook that ends the goroutine twice
	defer close(o.known)
	defer func() {
		if p := recover(); p != nil { // the Close of a body is a hook like any other
			o.out, o.err = o.failed(hookFault(p))
		} else if !returned {
			o.out, o.err = o.failed(errExited)
		}
	}()
	o.out, o.err = o.resolve()
	returned = true
	return o.out.fill
}

// land ends the flight: a viewer who comes now sees its outcome, or asks anew.
func (o *flight) land(out outcome) outcome {
	t := o.t
	t.mu.Lock()
	t.delist(o)
	o.landed = true
	if f := out.fill; f != nil {
		o.fill, f.shares = f, o.waiters
		t.admit(f)
	}
	t.recount(o)
	e := o.done()
	t.mu.Unlock()
	giveBack(e)
	return out
}

// bar delists a flight that has not landed, or the fill that it became. The answer is not stored, and no later viewer gets it.
// If no viewer waits for it now, it ends and its place is free. The caller holds Transport.mu.
func (o *flight) bar() {
	o.barred.Store(true)
	o.t.delist(o)
	switch f := o.fill; {
	case f != nil && f.shares <= o.own:
		f.giveUp()
	case f != nil:
		o.t.unlist(f)
	case o.waiters <= o.own:
		o.cancel(errAbandoned)
	}
	o.t.recount(o)
}

// launch begins a flight that was just listed. It bars the flight if what it keeps may have been purged since it was looked up:
// a 304 would bring that back. The caller holds Transport.mu, so that the call of this key always belongs to this flight.
func (o *flight) launch(have lookupResult) {
	o.t.group.DoChan(o.key, o.run)
	if o.kept != nil && have.purges != o.t.purges.Load() {
		o.bar()
	}
}

// disown is for the cache's own reader of a fill, right before it leaves.
func (o *flight) disown() {
	o.t.mu.Lock()
	o.own = 0
	o.t.recount(o)
	o.t.mu.Unlock()
}

// mayGoOn reports whether a request goes on that nobody waits for. A player that has given up comes again, or another does;
// without this, an origin that is slower than players are patient would never finish. The origin's own time limit still holds.
// A request does not go on if nothing would be kept, if there are many such requests, if it is a blocking reload, which only
// its viewers need, or if it was made before any viewer asked. The caller holds Transport.mu.
func (o *flight) mayGoOn() bool {
	return o.t.Store != nil && !o.early && !o.barred.Load() && !hls.IsBlocking(o.req.URL.RawQuery) &&
		o.t.orphans(o.req.URL.Host) < mostOrphans
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

// leaveToViewers hands over a fill that goes on because it is too long to be kept: it now counts among those of the viewers.
func (o *flight) leaveToViewers() {
	o.t.mu.Lock()
	defer o.t.mu.Unlock()
	o.t.leaveToViewers(o.fill)
	o.t.boundLeft(o.t.maxFills())
}
