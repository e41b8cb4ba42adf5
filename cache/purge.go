package cache

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// ErrNoPurge: the Store of a Transport is no Purger.
var ErrNoPurge = errors.New("cache: the store cannot purge")

// Purger is a Store that can forget entries. Memory and Dir are Purgers.
type Purger interface {
	// Purge forgets the entries whose keys match, and returns how many there were. match is called under a lock.
	Purge(ctx context.Context, match func(key string) bool) (int, error)
}

// Purge forgets everything stored under a key of Transport.Key (by default the URL without viewer parameters): its variants and
// slices, and the answers for links with credentials of their own. It returns how many entries that were. Readers of these
// entries finish undisturbed. Fills under way are neither joined nor stored. Without a Store, only fills are affected.
func (t *Transport) Purge(ctx context.Context, key string) (int, error) {
	return t.purge(ctx, withParts(key))
}

// withParts matches a key, the keys of its variants and slices, and all of these with the credentials of a link's maker.
func withParts(key string) func(string) bool {
	return func(k string) bool {
		parts, ok := strings.CutPrefix(k, key)
		return ok && (parts == "" || strings.HasPrefix(parts, ofPart) || strings.HasPrefix(parts, ofMaker))
	}
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
	}
	return false
}

var errBarred = errors.New("cache: purged or displaced while it was fetched")

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
