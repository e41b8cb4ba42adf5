package cache

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/httpstatus"
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
	out    outcome     // for all who wait; set before singleflight returns

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

// newFlight makes a flight that will send the request of r. It must be listed or scrapped. Making it takes as long as everything
// else that a miss does below Transport.mu, so it is not done there.
func (t *Transport) newFlight(r *http.Request, have lookupResult) *flight {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	req := r.WithContext(ctx)
	req.Method, req.Header, req.Body, req.GetBody = http.MethodGet, fillHeader(r), nil, nil
	o := &flight{question: question{t: t, primary: have.primary, key: have.key, part: have.part, req: req}, cancel: cancel}
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

// run is the function that singleflight calls. Singleflight does not notice a goroutine that a hook ends. The goroutine that has
// asked also reads the body: another one would need a stack that grows anew.
func (o *flight) run() (any, error) {
	done := make(chan error, 1)
	go func() {
		growStack(0)
		if f := o.fly(done); f != nil {
			f.run()
		}
	}()
	return nil, <-done
}

// growStack makes room on the stack of a new goroutine. If it grew later, in three steps, many frames would have to be copied.
//
//go:noinline
func growStack(i int) byte {
	var room [10 << 10]byte
	return room[i]
}

// fly asks the origin, tells done that the outcome is there, and returns the fill that is to be run, if it is one.
func (o *flight) fly(done chan<- error) *fill {
	err, returned := errExited, false
	defer func() { done <- err }()
	defer func() {
		if p := recover(); p != nil { // the Close of a body is a hook like any other
			o.out, err = o.failed(hookFault(p))
		} else if !returned {
			o.out, err = o.failed(errExited)
		}
	}()
	o.out, err = o.resolve()
	returned = true
	return o.out.fill
}

// resolve asks the origin, and ends with land.
func (o *flight) resolve() (outcome, error) {
	t := o.t
	// A fill that ended after the viewer looked has left its entry in the Store.
	have := t.lookup(o.req, o.primary)
	if have.entry != nil && t.isFresh(o.req, have.entry) && o.keep(have.entry) {
		o.cancel(nil)
		return o.land(outcome{entry: have.entry, how: statusHit}), nil
	}
	if o.key == o.primary && have.key != o.key {
		o.cancel(nil)
		return o.land(outcome{moved: true}), nil
	}
	t.mu.Lock()
	o.asked = time.Now()
	t.mu.Unlock()
	resp, err := o.ask()
	if err == nil && o.asks && resp.StatusCode == http.StatusNotModified {
		if o.kept.isConfirmed(resp.Header) {
			return o.confirmed(resp), nil
		}
		resp.Body.Close()
		o.asks = false
		delete(o.req.Header, "If-None-Match")
		delete(o.req.Header, "If-Modified-Since")
		resp, err = o.ask()
	}
	if err == nil {
		err = o.sane(resp)
	}
	if err != nil {
		return o.failed(err)
	}
	if httpstatus.Failed(resp.StatusCode) || httpstatus.IsMissing(resp.StatusCode) && o.kept != nil && o.kept.Live {
		if out, ok := o.rescued(resp.StatusCode); ok {
			resp.Body.Close()
			o.report(Fill{Status: resp.StatusCode})
			return out, nil
		}
	}
	return o.decide(resp), nil
}

// keep holds e, in place of what was kept before. It returns false if the memory of e was given to another.
func (o *flight) keep(e *Entry) bool {
	if !borrow(e) {
		return false
	}
	o.t.mu.Lock()
	e, o.kept = o.kept, e
	o.t.mu.Unlock()
	giveBack(e)
	return true
}

// ask sends the request to Base and waits for the header, within the time limit.
func (o *flight) ask() (*http.Response, error) {
	wait := o.t.patience(o.req)
	if o.isAwaited(o.kept) {
		wait = max(wait, blockingIdle)
	}
	patience := time.AfterFunc(wait, func() { o.cancel(&fault{reason: ErrIdle}) })
	resp, err := o.t.ask(o.req)
	if err == nil && (resp == nil || resp.Body == nil) {
		err = &fault{ErrBroken, errors.New("no response")}
	}
	if !patience.Stop() && err == nil {
		resp.Body.Close()
		err = &fault{reason: ErrIdle}
	}
	if err != nil {
		if cause := context.Cause(o.req.Context()); cause != nil {
			err = cause
		}
	}
	return resp, err
}

// decide makes a fill, which is yet to be run, of an answer that can be shared, and gives any other to its asker.
func (o *flight) decide(resp *http.Response) outcome {
	f, ok := newFill(o, resp)
	if ok {
		out := o.land(outcome{fill: f})
		f.leave(0) // all may have left
		return out
	}
	if out, ok := o.inSlices(resp); ok {
		return out
	}
	if resp.StatusCode < http.StatusBadRequest {
		o.t.unshareable.add(unshareableFor, o.key)
		o.unstore()
	}
	return o.private(resp)
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

// inSlices lands with an Entry for the header alone, if an answer is too long for one Entry. It returns false if the body
// cannot be kept in slices.
func (o *flight) inSlices(resp *http.Response) (out outcome, ok bool) {
	t, c := o.t, rules.ParseControl(resp.Header)
	vary, ok := o.varyOf(resp.Header)
	if t.Store == nil || !ok || o.isPrivate(resp, c) || resp.ContentLength <= t.maxBody() || !sliceable(resp) {
		return outcome{}, false
	}
	e := newEntry(o, resp, vary)
	e.Sliced = resp.ContentLength
	if _, err := o.judge(e); err != nil || e.TTL <= 0 {
		return outcome{}, false
	}
	if o.store(e) != nil {
		return outcome{}, false
	}
	o.cancel(nil)
	resp.Body.Close()
	return o.land(outcome{entry: e, how: statusMiss, large: true}), true
}

// private lands with an answer that cannot be shared.
func (o *flight) private(resp *http.Response) outcome {
	t := o.t
	t.mu.Lock()
	to := o.asker
	o.asker = nil
	if to != nil {
		to <- resp
	}
	t.mu.Unlock()
	out := o.land(outcome{})
	if to == nil {
		o.discard(resp)
	}
	return out
}

// discard ends an answer that nobody gets.
func (o *flight) discard(resp *http.Response) {
	o.cancel(errAbandoned)
	o.t.close(resp.Body)
}

// failed lands without an answer.
func (o *flight) failed(err error) (outcome, error) {
	if err != errAbandoned {
		o.t.count.errors.Add(1)
		if out, ok := o.rescued(0); ok {
			o.report(Fill{Err: err})
			return out, nil
		}
	}
	o.cancel(nil)
	o.land(outcome{})
	o.report(Fill{Err: err})
	return outcome{}, err
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

// barIfPurged bars a flight that has just begun, if what it keeps may have been purged since it was looked up: a 304 would
// bring that back. The caller holds Transport.mu.
func (o *flight) barIfPurged(have lookupResult) {
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

// store keeps an answer, unless the flight was barred before or meanwhile.
func (o *flight) store(e *Entry) error {
	if o.barred.Load() {
		return errBarred
	}
	if err := o.t.keep(o.req, o.primary, e); err != nil {
		o.t.count.errors.Add(1)
		return err
	}
	if !o.barred.Load() {
		return nil
	}
	// With its variants: the answer may be stored as one of them, and a mark put later would bring it back.
	_, err := o.t.purgeStore(o.req.Context(), withParts(o.primary))
	if err == ErrNoPurge {
		err = o.t.tombstone(o.req.Context(), keyOf(o.primary, e), e.URL)
	}
	if err != nil {
		return err
	}
	return errBarred
}

// unstore forgets the earlier Entry: the origin no longer allows sharing it.
func (o *flight) unstore() {
	if o.kept != nil && !o.barred.Load() {
		o.t.tombstone(o.req.Context(), o.key, o.req.URL.String())
	}
}

// lead has what follows a stored answer fetched.
func (o *flight) lead() {
	if o.part != nil || !o.t.leads() {
		return
	}
	var early time.Time
	o.t.mu.Lock()
	if o.early {
		early = o.asked
	}
	o.t.mu.Unlock()
	o.t.ahead.Stored(scout{o.t}, o.req, o.primary, early)
}

// report calls the hook.
func (o *flight) report(f Fill) {
	if o.t.OnFill == nil {
		return
	}
	var err error
	defer o.t.recovered(&err)
	f.Key, f.URL, f.Took = o.key, o.req.URL.String(), time.Since(o.asked)
	if f.Wait == 0 {
		f.Wait = f.Took
	}
	o.t.OnFill(f)
}
