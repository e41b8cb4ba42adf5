package cache

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// opening is the question to the origin that the viewers of one key share until its header comes.
type opening struct {
	t            *Transport
	primary, key string
	req          *http.Request // the fill's own: no viewer's context, range, or conditions
	cancel       context.CancelCauseFunc
	asked        time.Time
	stale        *Entry      // what the Store has; nil: nothing
	asks         bool        // req asks whether stale still holds
	purged       atomic.Bool // what comes is not to be stored

	// Below Transport.mu.
	waiters int
	fill    *fill          // what came of it, if it can be shared; each waiter holds a share
	entry   *Entry         // what is to be served from the Store after all
	how     string         // and why, as a Cache-Status
	large   bool           // entry was made of this answer, and its body is kept in slices
	resp    *http.Response // an answer that cannot be shared, for whoever takes it
	taken   bool           // and somebody has
}

// join shares a running fill, or a question that was asked already, or asks it, if open says so. What cannot be shared
// sends each viewer on its own way, all at once.
func (t *Transport) join(r *http.Request, have found, open bool) (*http.Response, error) {
	key := have.key
	t.mu.Lock()
	if f := t.fills[key]; f != nil && varies(f.entry.Vary, r) && !f.stalls() {
		f.shares++
		f.wakePump()
		t.mu.Unlock()
		t.count.joins.Add(1)
		return t.follow(r, f, true)
	}
	o, first := t.openings[key], false
	if o == nil {
		if !open {
			t.mu.Unlock()
			return t.alonePass(r)
		}
		if len(t.openings)+t.filling >= t.maxFills() {
			t.mu.Unlock()
			t.count.errors.Add(1)
			return nil, &fault{reason: ErrBusy}
		}
		o, first = t.newOpening(r, have), true
	}
	o.waiters++
	// Under the lock, so that the flight of this key is always that of the opening.
	answer := t.flights.DoChan(key, o.open)
	t.mu.Unlock()

	select {
	case res := <-answer:
		if res.Err != nil {
			return nil, res.Err
		}
		return o.answer(r, first)
	case <-r.Context().Done():
		o.leave()
		return nil, context.Cause(r.Context())
	}
}

func (t *Transport) newOpening(r *http.Request, have found) *opening {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	req := r.WithContext(ctx)
	req.Method, req.Header, req.Body, req.GetBody = http.MethodGet, fillHeader(r.Header), nil, nil
	o := &opening{t: t, primary: have.primary, key: have.key, req: req, cancel: cancel}
	if s := t.sliceOf(ctx); s != nil {
		s.ask(req.Header)
	}
	if hold(have.entry) {
		o.stale = have.entry
		o.asks = conditional(req.Header, o.stale)
	}
	if t.openings == nil {
		t.openings = map[string]*opening{}
	}
	t.openings[have.key] = o
	return o
}

// open is the function of the flight, which hears nothing of a goroutine that a hook ends.
func (o *opening) open() (any, error) {
	done := make(chan error, 1)
	go func() {
		err, returned := errExited, false
		defer func() { done <- err }()
		defer letGo(o.stale)
		defer func() {
			if p := recover(); p != nil { // the Close of a body is as much of a hook as any other
				err = o.failed(hookFault(p))
			} else if !returned {
				err = o.failed(errExited)
			}
		}()
		err, returned = o.question(), true
	}()
	return nil, <-done
}

// question asks the origin.
func (o *opening) question() error {
	t := o.t
	// A fill that ended after the viewer looked left its entry in the Store.
	if have := t.lookup(o.req, o.primary); have.entry != nil && have.entry.fresh() {
		o.publish(func() { o.entry, o.how = have.entry, statusHit })
		o.cancel(nil)
		return nil
	}
	o.asked = time.Now()
	resp, err := o.ask()
	if err == nil && o.asks && resp.StatusCode == http.StatusNotModified {
		if confirms(resp.Header, o.stale) {
			return o.confirmed(resp)
		}
		resp.Body.Close()
		o.asks = false
		delete(o.req.Header, "If-None-Match")
		delete(o.req.Header, "If-Modified-Since")
		resp, err = o.ask()
	}
	if err == nil {
		if s := t.sliceOf(o.req.Context()); s != nil {
			err = s.check(resp)
		} else {
			err = sane(resp)
		}
	}
	if err != nil {
		return o.failed(err)
	}
	if failure(resp.StatusCode) && o.rescued(resp.StatusCode) {
		resp.Body.Close()
		o.report(Fill{Status: resp.StatusCode})
		return nil
	}
	o.decide(resp)
	return nil
}

// decide makes a fill of an answer that can be shared, and leaves any other to the first who takes it.
func (o *opening) decide(resp *http.Response) {
	t := o.t
	f, ok := newFill(o, resp)
	if !ok && o.inSlices(resp) {
		return
	}
	if !ok {
		if resp.StatusCode < http.StatusBadRequest {
			t.setAlone(o.key)
		}
		if o.publish(func() { o.resp = resp }) == 0 {
			o.discard()
		}
		return
	}
	left := o.publish(func() {
		o.fill, f.shares = f, o.waiters
		if t.fills == nil {
			t.fills = map[string]*fill{}
		}
		if !o.purged.Load() {
			t.fills[o.key] = f
		}
		t.filling++
	})
	go f.run()
	if left == 0 {
		f.leave(0)
	}
}

// publish ends the opening: those who come now see what came of it. It returns how many wait.
func (o *opening) publish(set func()) int {
	t := o.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.openings[o.key] == o {
		delete(t.openings, o.key)
		t.flights.Forget(o.key)
	}
	set()
	return o.waiters
}
