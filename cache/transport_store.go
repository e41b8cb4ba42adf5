package cache

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/httpstatus"
	"github.com/hlsproxy/hlsproxy/internal/sharing"
	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// lookupResult is what the Store has for a request.
type lookupResult struct {
	primary string // the key of the URL
	key     string // the key of the variant; the same unless answers vary
	entry   *Entry // fresh or not; nil: nothing
	owned   *reply // holds entry, if nobody else does; nil: the entry may be shared
	part    *slice // the slice that is requested; nil: the whole
	purges  uint64 // how many there had been before
}

// find is lookup with the key of r. A Memory returns the key it has stored, so that a hit need not build one.
func (t *Transport) find(r *http.Request) (lookupResult, error) {
	in := room(r)
	in.lender = sharing.LenderTo(t, r)
	if m := t.memory(); m != nil && t.Key == nil {
		var buf [256]byte
		purges := t.purges.Load()
		owned, key := m.find(appendKeyBut(buf[:0], r, t.Ignore), in)
		have := t.choose(r, key, owned.result(), in)
		have.purges = purges
		return have, nil
	}
	key, err := t.key(r)
	if err != nil {
		return lookupResult{}, err
	}
	return t.lookupIn(r, key, in), nil
}

// room is how much room the header of the answer to r may need.
func room(r *http.Request) headerRoom {
	if len(r.Header["Range"]) > 0 {
		return headerRoom{more: ofARange}
	}
	return headerRoom{}
}

// lookup finds the stored answer that r selects, fresh or not.
func (t *Transport) lookup(r *http.Request, key string) lookupResult {
	return t.lookupIn(r, key, room(r))
}

func (t *Transport) lookupIn(r *http.Request, key string, in headerRoom) lookupResult {
	if t.Store == nil {
		return lookupResult{primary: key, key: key}
	}
	purges := t.purges.Load()
	have := t.choose(r, key, t.fetch(r, key, in), in)
	have.purges = purges
	return have
}

// choose finds the variant that r selects, if the entry under the key is only a mark that answers vary.
func (t *Transport) choose(r *http.Request, key string, f lookupResult, in headerRoom) lookupResult {
	f.primary, f.key = key, key
	if f.entry != nil && f.entry.Status == 0 {
		v := variant(key, f.entry.Vary, r.Header)
		f = t.fetch(r, v, in)
		f.primary, f.key = key, v
	}
	if f.entry != nil && (f.entry.Status == 0 || !rules.Selects(r.Header, f.entry.Vary)) {
		f.entry, f.owned = nil, nil
	}
	return f
}

func (t *Transport) fetch(r *http.Request, key string, in headerRoom) lookupResult {
	f, err := t.get(r, key, in)
	if err != nil {
		t.count.errors.Add(1)
		return lookupResult{}
	}
	return f
}

// isFresh reports whether a stored answer may be served to r without asking the origin. The redirect of a segment, for example
// to a freshly signed URL of an object store, is good while its target is stored.
func (t *Transport) isFresh(r *http.Request, e *Entry) bool {
	if !e.fresh() || !isPassing(e.Status) {
		return e.fresh()
	}
	if _, said := rules.ParseControl(e.Header).Lifetime(e.Header); said || t.TTL != nil {
		return true
	}
	to, err := r.URL.Parse(e.Header.Get("Location"))
	if err != nil {
		return false
	}
	next := named(r, to, r.Header.Clone())
	key, err := t.key(next)
	if err != nil {
		return false
	}
	have := t.lookup(next, key)
	return have.entry != nil && have.entry.fresh() && have.entry.Status == http.StatusOK || t.isAsked(have.key)
}

const (
	// unshareableFor is how long later viewers need not wait to find out that an answer cannot be shared, and a Range of a
	// large object does not cause a request for the whole.
	unshareableFor = time.Minute
	// failingFor is how long viewers who can get a stale answer need not wait for the next failure of the origin.
	failingFor = time.Second
)

// mayWait reports whether a stale answer is served while the origin is asked (RFC 5861 section 3), or because it was just asked
// and failed.
func (t *Transport) mayWait(f lookupResult) bool {
	if f.entry.Status != http.StatusOK || f.entry.TTL == unproved {
		return false
	}
	c := rules.ParseControl(f.entry.Header)
	past := f.entry.Age() - f.entry.TTL
	if past <= c.Stale(c.StaleRevalidate, max(t.StaleWhileRevalidate, 0)) {
		return true
	}
	return past <= t.ifError(f.entry, 0) && t.failing.has(f.key, failingFor)
}

// ifError is how long past its TTL e is served when the origin fails with this status; 0: it did not answer (RFC 5861 section
// 4). A stored 404 or 410 is not served for longer.
func (t *Transport) ifError(e *Entry, status int) time.Duration {
	if e.Status != http.StatusOK || e.TTL == unproved {
		return -1
	}
	c, limit := rules.ParseControl(e.Header), t.StaleIfError
	if limit == 0 {
		limit = e.TTL
	}
	if httpstatus.IsMissing(status) {
		if c.StaleIfError = -1; t.StaleIfGone != 0 {
			limit = t.StaleIfGone
		} else {
			limit = 6 * e.TTL
		}
	}
	return c.Stale(c.StaleIfError, max(limit, 0))
}

// keep stores an answer under its key. If answers vary, it stores the answer under the key of its variant and puts a mark under
// its key.
func (t *Transport) keep(r *http.Request, primary string, e *Entry) error {
	if e.Vary == nil {
		return t.put(r.Context(), primary, e)
	}
	mark := &Entry{URL: e.URL, Vary: http.Header{}, Time: e.Time, TTL: rules.Longest}
	for name := range e.Vary {
		mark.Vary[name] = nil
	}
	if err := t.put(r.Context(), primary, mark); err != nil {
		return err
	}
	return t.put(r.Context(), keyOf(primary, e), e)
}

func (t *Transport) get(r *http.Request, key string, in headerRoom) (f lookupResult, err error) {
	if m := t.memory(); m != nil {
		return m.get(key, in).result(), nil
	}
	defer t.recovered(&err)
	f.entry, err = t.Store.Get(r.Context(), key)
	return f, err
}

func (t *Transport) put(ctx context.Context, key string, e *Entry) (err error) {
	defer t.recovered(&err)
	return t.Store.Put(ctx, key, e)
}

// Purge forgets everything stored under a key of Transport.Key (by default the URL without viewer parameters): its variants and
// slices, and the answers for links with credentials of their own. It returns the number of these entries. Their readers
// finish undisturbed. Fills under way are neither joined nor stored. Without a Store, only fills are affected.
func (t *Transport) Purge(ctx context.Context, key string) (int, error) {
	return t.purge(ctx, withParts(key))
}

// PurgePrefix is Purge for all keys that begin with prefix. The URL of a directory stands for everything below it.
func (t *Transport) PurgePrefix(ctx context.Context, prefix string) (int, error) {
	return t.purge(ctx, func(k string) bool { return strings.HasPrefix(k, prefix) })
}

func (t *Transport) purge(ctx context.Context, match func(string) bool) (int, error) {
	t.bar(func(_ *flight, key string) bool { return match(key) })
	if t.Store == nil {
		return 0, nil
	}
	// Flights that have found an old entry meanwhile.
	defer t.bar(func(o *flight, key string) bool { return o.kept != nil && match(key) })
	return t.purgeStore(ctx, match)
}

func (t *Transport) purgeStore(ctx context.Context, match func(string) bool) (n int, err error) {
	p, ok := t.Store.(Purger)
	if !ok {
		return 0, ErrNoPurge
	}
	defer t.recovered(&err)
	return p.Purge(ctx, match)
}

// tombstone puts an empty mark in the place of an Entry.
func (t *Transport) tombstone(ctx context.Context, key, url string) error {
	return t.put(ctx, key, &Entry{URL: url, Time: time.Now(), TTL: rules.Longest})
}

// outdate makes the cache ask the origin before it serves what is stored under keys and is older than its time there. Fills of
// these keys are barred.
func (t *Transport) outdate(keys map[string]time.Time) {
	of := func(key string) (time.Time, bool) {
		primary, _, _ := strings.Cut(key, ofPart)
		at, ok := keys[primary]
		return at, ok
	}
	t.bar(func(o *flight, key string) bool {
		at, ok := of(key)
		return ok && o.asked.Before(at)
	})
	if t.Store == nil {
		return
	}
	varying := map[string]struct{}{}
	for key, at := range keys {
		if t.outdateOne(key, at) {
			varying[key] = struct{}{}
		}
	}
	if len(varying) > 0 {
		t.purgeStore(context.Background(), func(key string) bool {
			primary, _, _ := strings.Cut(key, ofPart)
			_, ok := varying[primary]
			return ok
		})
	}
}

// NotBefore is when a playlist has shown that answers to r that are older belong to an earlier programme: its encoder has begun
// again, and uses its old names. Zero: none has. A Base that asks other caches tells them so, and they call Outdate.
func (t *Transport) NotBefore(r *http.Request) time.Time {
	key, err := t.key(r)
	if err != nil {
		return time.Time{}
	}
	return t.channels.outdated.get(key)
}

// Outdate makes the cache ask the origin before it serves what it has for r, if that is older than at, and join no request that
// was sent before. It fails if Transport.Key does.
func (t *Transport) Outdate(r *http.Request, at time.Time) error {
	key, err := t.key(r)
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.barThose(func(o *flight, k string) bool {
		return !o.asked.IsZero() && o.asked.Before(at) && (k == key || strings.HasPrefix(k, key+ofPart))
	})
	t.mu.Unlock()
	if t.Store != nil {
		t.outdateOne(t.lookup(r, key).key, at)
	}
	return nil
}

// outdateOne does this for one key. It reports whether there are variants: the Store cannot list their keys.
func (t *Transport) outdateOne(key string, at time.Time) (varies bool) {
	f, err := t.get(new(http.Request), key, headerRoom{})
	e := f.entry
	switch {
	case err != nil || e == nil:
		return false
	case e.Status == 0:
		return len(e.Vary) > 0
	case !e.Time.Before(at) || !borrow(e):
		return false
	}
	defer giveBack(e)
	now := *e
	now.TTL = unproved
	if t.put(context.Background(), key, &now) != nil {
		t.count.errors.Add(1)
		t.purgeStore(context.Background(), func(k string) bool { return k == key })
	}
	return false
}

// safe reports whether a method changes nothing (RFC 9110 section 9.2.1).
func safe(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// invalidate forgets what is stored for the target of a request that may have changed it, and for the URLs on the same origin
// that the answer names as made or changed, unless the request failed (RFC 9111 section 4.4).
func (t *Transport) invalidate(r *http.Request, resp *http.Response) {
	if safe(r.Method) || r.URL == nil || resp.StatusCode < 200 || resp.StatusCode >= http.StatusBadRequest {
		return
	}
	t.forget(r)
	for _, name := range [...]string{"Location", "Content-Location"} {
		u, err := r.URL.Parse(resp.Header.Get(name))
		if err != nil || wire.Origin(u) != wire.Origin(r.URL) || *u == *r.URL {
			continue
		}
		other := r.WithContext(r.Context())
		other.URL = u
		t.forget(other)
	}
}

// forget forgets what is stored for the URL of r, whatever the credentials.
func (t *Transport) forget(r *http.Request) {
	key, err := t.key(r)
	if err == nil {
		key = strings.TrimSuffix(key, string(appendMaker(nil, r)))
		_, err = t.Purge(r.Context(), key)
	}
	if err != nil {
		t.count.errors.Add(1)
	}
}
