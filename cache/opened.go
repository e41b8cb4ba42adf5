package cache

import "net/http"

// answer is what a waiter makes of the opening when it has come to its end.
func (o *opening) answer(r *http.Request, first bool) (*http.Response, error) {
	t := o.t
	if o.entry != nil {
		return o.fromStore(r, first)
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
	return t.claimed(r, resp, o), nil
}

// fromStore serves what the opening found or had confirmed, or what is left when it failed.
func (o *opening) fromStore(r *http.Request, first bool) (*http.Response, error) {
	t, how := o.t, o.how
	if how != statusHit && !first && !o.large {
		how = statusShared
	}
	var resp *http.Response
	if varies(o.entry.Vary, r) {
		resp = t.serve(r, found{key: o.key, entry: o.entry}, how)
	}
	switch {
	case resp == nil && t.sliceOf(r.Context()) != nil:
		return t.part(r, o.key) // forgotten already; r alone would ask for the whole
	case resp == nil:
		return t.alonePass(r)
	case o.large:
		t.count.misses.Add(1)
		return resp, nil
	case how == statusHit:
		t.count.hits.Add(1)
	case first:
		t.count.misses.Add(1)
	default:
		t.count.joins.Add(1)
	}
	if !o.entry.fresh() && o.how != statusConfirmed {
		t.count.stale.Add(1)
	}
	return resp, nil
}

// take gives the answer that cannot be shared to the first viewer who wants it whole.
func (o *opening) take(r *http.Request) (resp *http.Response) {
	o.t.mu.Lock()
	o.waiters--
	last := o.waiters == 0
	if r.Method != http.MethodHead && r.Header["Range"] == nil {
		resp, o.resp = o.resp, nil
		o.taken = o.taken || resp != nil
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
	last, taken := o.waiters == 0, o.taken
	if last && t.openings[o.key] == o {
		delete(t.openings, o.key)
		t.flights.Forget(o.key)
	}
	t.mu.Unlock()
	if last && !taken {
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
		o.t.close(resp.Body)
	}
}
