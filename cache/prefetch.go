package cache

import (
	"context"
	"io"
	"iter"
	"net/http"
)

// mostPrefetches is how many answers are prefetched at a time, by all calls together: viewers come first.
const mostPrefetches = 16

// Prefetch fetches what the first n of urls name into the Store, one after the other, and returns how many of them were
// not there yet and are now. A viewer who asks for one of them meanwhile joins its fill; what is being fetched already is
// left alone, and so is what cannot be shared. It ends early when ctx does, and at once while 16 others are at it: call it
// in a goroutine of its own, with the segments that a playlist just served names and a context that ends with the service.
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
	have := t.lookup(r, key)
	if have.entry != nil && have.entry.fresh() || t.isUnshareable(have.key) || t.isRunning(have.key) {
		return false
	}
	resp, err := t.join(r, have, true)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	if _, shared := resp.Body.(*viewer); !shared || resp.StatusCode != http.StatusOK {
		return false
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil
}

func (t *Transport) isRunning(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.flights[key] != nil || t.fills[key] != nil
}
