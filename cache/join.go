package cache

import (
	"net/http"

	"github.com/hlsproxy/hlsproxy/internal/sharing"
	"golang.org/x/sync/singleflight"
)

// join shares a running fill or a request that is under way. If there is neither and ask is true, it makes the request. An
// answer that cannot be shared goes to the viewer whose request was sent; all others ask for themselves.
func (t *Transport) join(r *http.Request, have lookupResult, ask bool) (*http.Response, error) {
	t.mu.Lock()
	f, o := t.running(r, &have)
	var made *flight
	for f == nil && o == nil && ask && t.hasRoom(t.maxFills()) && (made == nil || made.key != have.key) {
		t.mu.Unlock() // others do not wait for that
		made.scrap()
		made = t.newFlight(r, have)
		t.mu.Lock()
		f, o = t.running(r, &have)
	}
	w := waiter{r: r}
	switch {
	case f != nil:
		joins := f.air.joinable()
		if joins {
			f.shares++
			t.recount(f.o)
			f.body.Wake()
		}
		t.mu.Unlock()
		made.scrap()
		if !joins {
			return t.passBeside(r)
		}
		t.count.joins.Add(1)
		return t.follow(r, have.part, f, true)
	case o != nil:
	case !ask:
		t.mu.Unlock()
		return t.passAlone(r)
	case !t.makeRoom(t.maxFills()):
		t.mu.Unlock()
		made.scrap()
		t.count.errors.Add(1)
		return nil, &fault{reason: ErrBusy}
	default:
		o, made = made, nil
		t.list(o)
		answer := make(chan *http.Response, 1)
		o.asker, w.private = answer, answer
	}
	o.waiters++
	t.recount(o)
	// Under the lock, so that the call of this key always belongs to this flight.
	landed := t.group.DoChan(have.key, o.run)
	if w.private != nil {
		o.barIfPurged(have)
	}
	t.mu.Unlock()
	made.scrap()
	if o.isAwaited(have.entry) {
		sharing.WaitLonger(r.Context(), blockingIdle)
	}
	w.o, w.have = o, have
	return w.wait(landed)
}

// begin makes a flight that no viewer waits for, with one waiter. It returns nil if somebody asks already, or if there is no
// free place. An early one takes no place from viewers.
func (t *Transport) begin(r *http.Request, have lookupResult, early bool) (o *flight, landed <-chan singleflight.Result) {
	t.mu.Lock()
	free := t.isFree(have.key, early, t.maxFills())
	t.mu.Unlock()
	if !free {
		return nil, nil
	}
	o = t.newFlight(r, have)
	t.mu.Lock()
	if !t.isFree(have.key, early, t.maxFills()) { // meanwhile
		t.mu.Unlock()
		o.scrap()
		return nil, nil
	}
	defer t.mu.Unlock()
	o.waiters, o.own, o.early = 1, 1, early
	t.list(o)
	t.recount(o)
	landed = t.group.DoChan(have.key, o.run)
	o.barIfPurged(have)
	return o, landed
}
