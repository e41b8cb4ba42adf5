package cache

import (
	"context"
	"net/http"
	"time"
)

// opening is the question to the origin that the viewers of one key share until its header comes.
type opening struct {
	t      *Transport
	key    string
	req    *http.Request // the fill's own: no viewer's context, range, or conditions
	cancel context.CancelCauseFunc

	// Below Transport.mu.
	waiters int
	fill    *fill          // what came of it, if it can be shared; each waiter holds a share
	entry   *Entry         // the Store had it after all
	resp    *http.Response // an answer that cannot be shared, for whoever takes it
}

// join shares a running fill, or a question that was asked already, or asks it, if open says so. What cannot be shared
// sends each viewer on its own way, all at once.
func (t *Transport) join(r *http.Request, key string, open bool) (*http.Response, error) {
	t.mu.Lock()
	if f := t.fills[key]; f != nil && varies(f.entry.Vary, r) {
		f.shares++
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
		o, first = t.newOpening(r, key), true
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

func (t *Transport) newOpening(r *http.Request, key string) *opening {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	req := r.WithContext(ctx)
	req.Method, req.Header, req.Body, req.GetBody = http.MethodGet, fillHeader(r.Header), nil, nil
	o := &opening{t: t, key: key, req: req, cancel: cancel}
	if t.openings == nil {
		t.openings = map[string]*opening{}
	}
	t.openings[key] = o
	return o
}

// open asks the origin. It runs in a goroutine of its own, as the function of the flight.
func (o *opening) open() (any, error) {
	t := o.t
	// A fill that ended after the viewer looked left its entry in the Store.
	if e := t.lookup(o.req, o.key); e != nil {
		o.publish(func() { o.entry = e })
		o.cancel(nil)
		return nil, nil
	}
	asked := time.Now()
	patience := time.AfterFunc(t.patience(o.req), func() { o.cancel(&fault{reason: ErrIdle}) })
	resp, err := t.ask(o.req)
	late := !patience.Stop()
	if err == nil {
		err = sane(resp)
	}
	if late && err == nil && context.Cause(o.req.Context()) != nil {
		resp.Body.Close()
		err = context.Cause(o.req.Context())
	}
	if err != nil {
		if cause := context.Cause(o.req.Context()); cause != nil && cause != context.Canceled {
			err = cause
		}
		o.cancel(nil)
		if err != errAbandoned {
			t.count.errors.Add(1)
		}
		o.publish(func() {})
		return nil, err
	}
	o.decide(resp, asked)
	return nil, nil
}

// decide makes a fill of an answer that can be shared, and leaves any other to the first who takes it.
func (o *opening) decide(resp *http.Response, asked time.Time) {
	t := o.t
	f, ok := newFill(o, resp, asked)
	if !ok {
		t.setAlone(o.key)
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
		t.fills[o.key] = f
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

// answer is what a waiter makes of the opening when it has come to its end.
func (o *opening) answer(r *http.Request, first bool) (*http.Response, error) {
	t := o.t
	if o.entry != nil {
		if varies(o.entry.Vary, r) {
			return t.hit(r, o.entry), nil
		}
		return t.alonePass(r)
	}
	if o.fill != nil {
		if !varies(o.fill.entry.Vary, r) {
			o.fill.leave(1)
			return t.alonePass(r)
		}
		if first {
			t.count.misses.Add(1)
		} else {
			t.count.joins.Add(1)
		}
		return t.follow(r, o.fill, !first)
	}
	resp := o.take(r)
	if resp == nil {
		return t.alonePass(r)
	}
	t.count.misses.Add(1)
	return t.claimed(r, resp, o.cancel), nil
}

// take gives the answer that cannot be shared to the first viewer who wants it whole.
func (o *opening) take(r *http.Request) (resp *http.Response) {
	o.t.mu.Lock()
	o.waiters--
	last := o.waiters == 0
	if r.Method != http.MethodHead && r.Header["Range"] == nil {
		resp, o.resp = o.resp, nil
	}
	o.t.mu.Unlock()
	if last && resp == nil {
		o.discard()
	}
	return resp
}

// leave is for a waiter who goes before the answer comes. The last one takes the question back.
func (o *opening) leave() {
	t := o.t
	t.mu.Lock()
	if f := o.fill; f != nil {
		t.mu.Unlock()
		f.leave(1)
		return
	}
	o.waiters--
	last := o.waiters == 0
	if last && t.openings[o.key] == o {
		delete(t.openings, o.key)
		t.flights.Forget(o.key)
	}
	t.mu.Unlock()
	if last {
		o.cancel(errAbandoned)
		o.discard()
	}
}

// discard ends an answer that nobody took.
func (o *opening) discard() {
	o.t.mu.Lock()
	resp := o.resp
	o.resp = nil
	o.t.mu.Unlock()
	if resp != nil {
		o.cancel(errAbandoned)
		resp.Body.Close()
	}
}
