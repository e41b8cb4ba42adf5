package cache

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"

	"github.com/hlsproxy/hlsproxy/cache/internal/body"
)

// mostPrefetches is how many answers are prefetched at a time, by all calls together, because viewers come first.
const mostPrefetches = 16

var errDetached = errors.New("cache: too long to be kept")

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
	have := t.lookup(r, key)
	if have.entry != nil && have.entry.fresh() || t.isUnshareable(have.key) || t.isRunning(have.key) {
		return false
	}
	resp, err := t.join(r, have, true)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	v, shared := resp.Body.(*viewer)
	return shared && resp.StatusCode == http.StatusOK && v.readOut() == io.EOF
}

// readOut reads to the end, unless the body turns out not to be kept: it may have no end.
func (v *viewer) readOut() error {
	for v.fill == nil || !v.fill.isDetached() {
		if _, err := io.CopyN(io.Discard, v, body.LargeChunk); err != nil {
			return err
		}
	}
	return errDetached
}

func (t *Transport) isRunning(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.flights[key] != nil || t.fills[key] != nil
}
