package cache

import (
	"context"
	"iter"
	"net/http"
	"sync/atomic"
)

// mostPrefetches is how many answers are prefetched at a time, by all calls together, because viewers come first.
const mostPrefetches = 16

// Prefetch fetches the first n of urls into the Store, one after the other. It returns how many of them were missing and are
// now stored. A viewer who asks for one of them meanwhile joins its fill. It skips what is already being fetched, what cannot
// be shared, and what is too long to be kept. It ends early when ctx ends, and returns at once while 16 other answers are being
// prefetched. Call it in a goroutine of its own, with the segments that a playlist just served names, and with a context that
// ends with the service.
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
		if t.prefetch(ctx, url) {
			fetched++
		}
	}
	return fetched
}

func (t *Transport) prefetch(ctx context.Context, url string) bool {
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
	have, asked := scout{t}.obtain(r, key, new(atomic.Bool))
	if !asked || have.entry == nil || have.entry.Status != http.StatusOK || have.entry.Sliced > 0 {
		return false
	}
	return old == nil || have.entry.fresh() // otherwise it may be the old one, which the origin could not renew
}
