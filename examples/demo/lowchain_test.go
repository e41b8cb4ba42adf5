package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// low is the chain over a low-latency origin, without a page and without TCP in front.
type low struct {
	*demo
	clock *liveOrigin
	chain http.Handler
	asked sync.Map     // of the origin: URL -> *atomic.Int64
	held  atomic.Int64 // requests that the origin has not answered yet
}

func newLow(t *testing.T, now func() time.Time) *low {
	t.Helper()
	l := &low{clock: newLiveOrigin(now, true)}
	live, err := l.clock.handler()
	require.NoError(t, err)
	l.demo, err = newDemo(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := l.asked.LoadOrStore(r.URL.String(), new(atomic.Int64))
		n.(*atomic.Int64).Add(1)
		l.held.Add(1)
		defer l.held.Add(-1)
		live.ServeHTTP(w, r)
	}))
	require.NoError(t, err)
	t.Cleanup(l.kill)
	l.chain, err = newChain("/hls/", l.up.origins, l.up.shared, nil)
	require.NoError(t, err)
	return l
}

// reload asks the chain for a playlist with part k.
func (l *low) reload(ctx context.Context, name string, k int64) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	path := fmt.Sprintf("/hls/live/%s/index.m3u8?_HLS_msn=%d&_HLS_part=%d", name, k/partsPerSegment, k%partsPerSegment)
	l.chain.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
	return w
}

// fetch asks the chain for part k, which may still be coming.
func (l *low) fetch(ctx context.Context, name string, k int64) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	l.chain.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/hls/live/"+name+"/"+partName(k), nil))
	return w
}

func TestTwoHundredBlockedViewersAreOneRequest(t *testing.T) {
	t.Parallel()
	const viewers, parts = 200, 6
	l := newLow(t, time.Now)
	first := l.clock.lastPart() + 2
	var all sync.WaitGroup
	var early, wrong atomic.Int64
	for i := range viewers {
		name := trackNames()[i%3]
		all.Go(func() {
			for k := first; k < first+parts; k++ {
				// As a player does, request at once the next playlist and the part at which the last one hinted.
				var both sync.WaitGroup
				both.Go(func() {
					w := l.reload(t.Context(), name, k)
					if l.clock.lastPart() < k {
						early.Add(1)
					}
					if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `URI="/hls/live/`+name+"/"+partName(k)+`"`) {
						wrong.Add(1)
					}
				})
				if l.clock.lastPart() >= k-1 {
					if w := l.fetch(t.Context(), name, k); w.Code != http.StatusOK || l.clock.lastPart() < k {
						wrong.Add(1)
					}
				}
				both.Wait()
			}
		})
	}
	all.Wait()
	require.Zero(t, early.Load(), "playlists before their part was there")
	require.Zero(t, wrong.Load())
	for _, name := range trackNames() {
		for k := first; k < first+parts; k++ {
			n, ok := l.asked.Load(fmt.Sprintf("/live/%s/index.m3u8?_HLS_msn=%d&_HLS_part=%d", name, k/partsPerSegment, k%partsPerSegment))
			require.True(t, ok)
			require.EqualValues(t, 1, n.(*atomic.Int64).Load(), "%s: one blocking request for part %d", name, k)
			if n, ok := l.asked.Load("/live/" + name + "/" + partName(k)); ok {
				require.EqualValues(t, 1, n.(*atomic.Int64).Load(), "%s: part %d", name, k)
			}
		}
	}
	counts := l.up.shared.Stats()
	require.Greater(t, counts.Joins, counts.Misses*10)
	require.Zero(t, counts.Errors)
}

func TestViewersWhoLeaveABlockingReloadAreForgotten(t *testing.T) {
	const viewers = 200
	stopped := time.Now() // so that the answer never comes
	l := newLow(t, func() time.Time { return stopped })
	l.reload(t.Context(), "v0", 0) // connections are made
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	next := l.clock.lastPart() + 1
	var all sync.WaitGroup
	for range viewers {
		all.Go(func() {
			defer func() { _ = recover() }() // a handler whose viewer has gone aborts
			l.reload(ctx, "v0", next)
		})
	}
	require.Eventually(t, func() bool { return l.held.Load() == 1 && runtime.NumGoroutine() > before+viewers }, 30*time.Second, 5*time.Millisecond)
	cancel()
	all.Wait()
	require.Eventually(t, func() bool { return l.held.Load() == 0 && runtime.NumGoroutine() <= before+2 }, 30*time.Second, 5*time.Millisecond)
}
