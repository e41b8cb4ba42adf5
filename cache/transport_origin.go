package cache

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/sharing"
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
		made = newFlight(t, r, have)
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
		return f.follow(r, have.part, true)
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
	if w.private != nil {
		o.launch(have)
	}
	t.mu.Unlock()
	made.scrap()
	if o.isAwaited(have.entry) {
		sharing.WaitLonger(r.Context(), blockingIdle)
	}
	w.o, w.have = o, have
	return w.wait()
}

// begin makes a flight that no viewer waits for, with one waiter. It returns nil if somebody asks already, or if there is no
// free place. An early one takes no place from viewers.
func (t *Transport) begin(r *http.Request, have lookupResult, early bool) *flight {
	t.mu.Lock()
	free := t.isFree(have.key, early, t.maxFills())
	t.mu.Unlock()
	if !free {
		return nil
	}
	o := newFlight(t, r, have)
	t.mu.Lock()
	if !t.isFree(have.key, early, t.maxFills()) { // meanwhile
		t.mu.Unlock()
		o.scrap()
		return nil
	}
	defer t.mu.Unlock()
	o.waiters, o.own, o.early = 1, 1, early
	t.list(o)
	t.recount(o)
	o.launch(have)
	return o
}

// renew asks the origin in the background for an answer that was just served stale, unless somebody does so already.
func (t *Transport) renew(r *http.Request, have lookupResult) {
	if t.failing.has(have.key, failingFor) {
		return
	}
	r = r.WithContext(context.WithoutCancel(r.Context()))
	r.Method, r.Header = http.MethodGet, fillHeader(r)
	o := t.begin(r, have, false)
	if o == nil {
		return
	}
	go func() {
		defer o.served()
		<-o.known
		out := o.out
		if o.err == nil && out.how != statusHit {
			t.count.misses.Add(1)
		}
		if out.fill != nil {
			out.fill.toStore(r.Context())
		}
	}()
}

// passAlone asks the origin for one viewer, because the answer under this key is known to be unshareable.
func (t *Transport) passAlone(r *http.Request) (*http.Response, error) {
	t.count.misses.Add(1)
	return t.pass(r, statusAlone)
}

// passBeside asks the origin for one viewer who cannot join a broadcast. Such an answer has no end either, so it takes one of
// the places of MaxFills.
func (t *Transport) passBeside(r *http.Request) (*http.Response, error) {
	t.mu.Lock()
	if !t.makeRoom(t.maxFills()) {
		t.mu.Unlock()
		t.count.errors.Add(1)
		return nil, &fault{reason: ErrBusy}
	}
	t.beside++
	t.mu.Unlock()
	left := sync.OnceFunc(func() {
		t.mu.Lock()
		t.beside--
		t.mu.Unlock()
	})
	stays := false
	defer func() {
		if !stays {
			left()
		}
	}()
	resp, err := t.passAlone(r)
	if err != nil {
		return nil, err
	}
	if s, ok := resp.Body.(*singleBody); ok {
		s.left, stays = left, true
	}
	return resp, nil
}

// pass hands a request to Base as it is, with the viewer's own context, but with the usual idle limit.
func (t *Transport) pass(r *http.Request, fwd string) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	if r.Body == nil || r.Body == http.NoBody {
		patience := time.AfterFunc(t.patience(r), func() { cancel(&fault{reason: ErrIdle}) })
		defer patience.Stop()
	}
	resp, err := t.ask(withoutTier(r.WithContext(ctx)))
	if err == nil && (resp == nil || resp.Body == nil) {
		err = &fault{reason: ErrBroken}
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && r.Context().Err() == nil {
			err = cause
		}
		cancel(nil)
		return nil, err
	}
	t.invalidate(r, resp)
	return single(t, ctx, cancel, r, resp, fwd), nil
}

// RoundTripSlice answers with one slice: from the Store, from a running fill, or by asking Base. r is the request that another
// Transport has sent to its Base, and s is what SliceOf returned for it. The answer is a 206 with the whole slice, in the
// version that s names. If there is no such slice, the error is an ErrChanged.
func (t *Transport) RoundTripSlice(r *http.Request, s Slice) (*http.Response, error) {
	head := &Entry{URL: r.URL.String(), Header: s.Header, Sliced: s.Length}
	name, _ := rules.Strong(s.Header)
	vary, ok := varyOf(s.Header, r)
	part := sliceAt(head, s.Off)
	if !ok || name == "" || s.Off < 0 || s.Off >= s.Length || s.Off != part.off || s.End != part.end || !shareable(r) {
		return nil, &fault{ErrBroken, errors.New("no slice")}
	}
	key, err := t.key(r)
	if err != nil {
		return nil, err
	}
	if head.Vary = vary; vary != nil {
		key = variant(key, vary, r.Header)
	}
	q := r.WithContext(r.Context())
	q.Method, q.Header = http.MethodGet, fillHeader(r)
	resp, err := part.get(t, q, part.key(key))
	if err != nil {
		return nil, err
	}
	resp.Request = r
	resp.Header.Set("Content-Range", part.shown())
	return resp, nil
}

// mostPrefetches is how many answers are prefetched at a time, by all calls together, because viewers come first.
const mostPrefetches = 16

// Prefetch fetches the first n of urls into the Store, one after the other. It returns how many of them were missing and are
// now stored. If a viewer asks for one of them meanwhile, it joins the fill. Prefetch skips what is already being fetched, what
// cannot be shared, and what is too long to be kept. It ends early when ctx ends, and returns at once while 16 other answers are
// being prefetched. Call it in a goroutine of its own, with the segments that a playlist just served names, and with a context
// that ends with the service.
func (t *Transport) Prefetch(ctx context.Context, urls iter.Seq[string], n int) (fetched int) {
	if t.Store == nil {
		return 0
	}
	if t.prefetching.Add(1) > mostPrefetches {
		t.prefetching.Add(-1)
		return 0
	}
	defer t.prefetching.Add(-1)
	for url := range urls {
		if n <= 0 || ctx.Err() != nil {
			break
		}
		n--
		if (scout{t}).prefetch(ctx, url) {
			fetched++
		}
	}
	return fetched
}
