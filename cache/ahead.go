package cache

import (
	"context"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/hlsproxy/hlsproxy/cache/internal/ahead"
	"github.com/hlsproxy/hlsproxy/cache/internal/evict"
	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/maker"
	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// scout sends the requests of an ahead.Guide: those that viewers would send next, and no others.
type scout struct{ t *Transport }

// Limits bounds the places of a Transport that has no bound of its own.
func (s scout) Limits() (pieces, fills int) { return s.t.Ahead, min(s.t.maxFills(), defaultMaxFills) }

// Key is that of the request that a viewer will send.
func (s scout) Key(r *http.Request, u *url.URL) (string, error) { return s.t.key(listed(r, u)) }

// Detach drops what concerns the other request alone.
func (s scout) Detach(r *http.Request) *http.Request {
	q := r.WithContext(context.WithoutCancel(r.Context()))
	q.Method, q.Header = http.MethodGet, fillHeader(r)
	for _, name := range hls.CMCDHeaders {
		delete(q.Header, name)
	}
	return q
}

// Fetch leaves a piece to the viewers if somebody fetches it already, or if they would ask for it differently.
func (s scout) Fetch(r *http.Request, p ahead.Piece, headed *atomic.Bool) (fetched, ok bool) {
	t := s.t
	u, err := p.Base.Parse(p.Ref)
	if err != nil {
		return false, true
	}
	u.Fragment = ""
	if m := maker.FromContext(r.Context()); m != nil {
		u = m.Inherited(u)
	}
	if wire.Origin(u) != p.Host || p.Length > t.maxBody() {
		return false, true
	}
	q := named(r, u, r.Header.Clone()).WithContext(r.Context())
	key, err := t.key(q)
	if err != nil || evict.Hash(key) != p.Key || !shareable(q) {
		return false, true
	}
	have, asked := s.obtain(q, key, headed)
	switch {
	case have.entry == nil || have.entry.Status != http.StatusOK || !have.entry.fresh():
		return false, !asked
	case have.entry.Sliced == 0:
		return asked, true
	case p.Length == 0:
		return false, true
	}
	asked, ok = s.earlySlices(q, have, p, headed)
	return asked && ok, ok
}

// obtain is lookup, but first asks the origin for what is not there or not fresh, unless somebody does already or the answer
// cannot be shared.
func (s scout) obtain(r *http.Request, key string, headed *atomic.Bool) (have lookupResult, asked bool) {
	have = s.t.lookup(r, key)
	if have.entry != nil && have.entry.fresh() || s.t.unshareable.has(have.key, unshareableFor) || !s.early(r, have, headed) {
		return have, false
	}
	return s.t.lookup(r, key), true
}

// earlySlices fetches the slices of a range. It skips those that somebody fetches: the end of one segment and the beginning of
// the next lie in one slice. asked: there was something to fetch. had is false if one could not be fetched.
func (s scout) earlySlices(r *http.Request, whole lookupResult, p ahead.Piece, headed *atomic.Bool) (asked, had bool) {
	end := min(p.From+p.Length, whole.entry.Sliced)
	for off := p.From - p.From%sliceSize; off < end; off += sliceSize {
		part := sliceAt(whole.entry, off)
		key := part.key(whole.key)
		if s.t.lookup(r, key).entry != nil {
			continue
		}
		if !s.early(r, lookupResult{primary: key, key: key, part: part}, headed) {
			if s.t.isAsked(key) || s.t.lookup(r, key).entry != nil {
				continue // somebody fetches it, or was faster
			}
			return asked, true
		}
		if asked = true; s.t.lookup(r, key).entry == nil {
			return true, false
		}
	}
	return asked, true
}

// early asks the origin before a viewer does, and reads the answer to its end. It returns false if somebody asks already, or if
// there is no free place.
func (s scout) early(r *http.Request, have lookupResult, headed *atomic.Bool) bool {
	o := s.t.begin(r, have, true)
	if o == nil {
		return false
	}
	select {
	case <-o.known:
		defer o.served()
		headed.Store(true)
		if out := o.out; o.err == nil && out.fill != nil {
			out.fill.toStore(r.Context())
			o.leaveToViewers()
		}
	case <-r.Context().Done():
		(&waiter{o: o}).leave()
	}
	return true
}

// asked tells the Guide of a request that the Store may answer.
func (s scout) asked(r *http.Request, key string, there bool) {
	if r.Method != http.MethodHead && r.Header[tierField] == nil {
		s.t.ahead.Asked(s, r, key, there)
	}
}

// prefetch fetches what url names. It reports whether it was missing and is now stored.
func (s scout) prefetch(ctx context.Context, url string) bool {
	t := s.t
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil || r.URL.Scheme != "http" && r.URL.Scheme != "https" {
		return false
	}
	r = named(r, r.URL, r.Header).WithContext(ctx)
	key, err := t.key(r)
	if err != nil {
		return false
	}
	old := t.lookup(r, key).entry
	have, asked := s.obtain(r, key, new(atomic.Bool))
	if !asked || have.entry == nil || have.entry.Status != http.StatusOK || have.entry.Sliced > 0 {
		return false
	}
	return old == nil || have.entry.fresh() // otherwise it may be the old one, which the origin could not renew
}
