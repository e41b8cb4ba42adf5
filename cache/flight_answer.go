package cache

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/httpstatus"
)

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
	o.restarted = rules.RestartedAt(resp.Header, time.Now())
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
