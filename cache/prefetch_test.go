package cache_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

func TestPrefetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		o := &scripted{answer: func(r *http.Request, _ int64) reply {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			time.Sleep(time.Second)
			switch r.URL.Path {
			case "/3.ts":
				return reply{status: 404}
			case "/4.ts":
				return text("x", "Content-Type", "video/mp2t", "Cache-Control", "private")
			}
			return text(r.URL.Path, "Content-Type", "video/mp2t")
		}}
		c := &cache.Transport{Base: o, Store: store(t)}
		fetch(t, c, "http://o/0.ts")
		var urls []string
		for i := range 9 {
			urls = append(urls, fmt.Sprintf("http://o/%d.ts", i))
		}
		urls = slices.Insert(urls, 1, "http://o/%zz", "skd://key")
		done := make(chan int)
		go func() { done <- c.Prefetch(t.Context(), slices.Values(urls), 8) }()
		time.Sleep(500 * time.Millisecond)
		resp, body := fetch(t, c, "http://o/1.ts")
		require.Equal(t, "/1.ts", body)
		require.Contains(t, resp.Header.Get("Cache-Status"), "collapsed")
		require.Equal(t, 3, <-done, "1, 2 and 5: 0 was there, 3 is missing, 4 is private, two are no URLs to fetch")
		for _, i := range []int{0, 1, 2, 5} {
			resp, _ := fetch(t, c, fmt.Sprintf("http://o/%d.ts", i))
			require.Equal(t, "hlsproxy; hit", resp.Header.Get("Cache-Status"))
		}
		require.EqualValues(t, 1, most.Load())
		require.Zero(t, c.Prefetch(t.Context(), slices.Values([]string{"http://o/4.ts"}), 1))

		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Second / 2); cancel() }()
		require.Zero(t, c.Prefetch(ctx, slices.Values([]string{"http://o/6.ts", "http://o/7.ts"}), 9))
		require.Zero(t, (&cache.Transport{Base: o}).Prefetch(t.Context(), slices.Values(urls), 9))
		time.Sleep(time.Minute) // for an origin that ignores its context
	})
}

// What the origin could not renew is stale as before, and was not fetched.
func TestPrefetchDoesNotCountWhatStaysStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &scripted{answer: func(_ *http.Request, n int64) reply {
			if n == 2 {
				return reply{status: 503}
			}
			return text("x", "Content-Type", "video/mp2t", "Cache-Control", "max-age=60")
		}}
		c := &cache.Transport{Base: o, Store: store(t)}
		for n, fetched := range []int{1, 0, 1} {
			require.Equal(t, fetched, c.Prefetch(t.Context(), slices.Values([]string{"http://o/1.ts"}), 1), "%d", n)
			time.Sleep(61 * time.Second)
		}
	})
}

func TestPrefetchIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := numbered(1)
		slow := trip(func(r *http.Request) (*http.Response, error) { time.Sleep(time.Second); return o.RoundTrip(r) })
		c := &cache.Transport{Base: slow, Store: store(t)}
		var fetched atomic.Int64
		for i := range 30 {
			go func() {
				fetched.Add(int64(c.Prefetch(t.Context(), slices.Values([]string{fmt.Sprintf("http://o/%d.ts", i)}), 1)))
			}()
		}
		time.Sleep(2 * time.Second)
		require.EqualValues(t, 16, fetched.Load())
	})
}

// When a live playlist has been served, its newest segments are what everybody asks for next.
func ExampleTransport_Prefetch() {
	origin := trip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/live/index.m3u8" {
			return text("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n1.ts\n#EXTINF:4,\n2.ts\n").response(r), nil
		}
		return text("segment", "Content-Type", "video/mp2t").response(r), nil
	})
	shared := &cache.Transport{Base: origin, Store: cache.NewMemory(1 << 20)}

	r, _ := http.NewRequest(http.MethodGet, "http://origin.example/live/index.m3u8", nil)
	resp, err := shared.RoundTrip(r)
	if err != nil {
		panic(err)
	}
	playlist, _ := io.ReadAll(resp.Body)
	resp.Body.Close()

	newestFirst := slices.Collect(lines(playlist, r.URL.String())) // rewrite.Refs in a real service
	slices.Reverse(newestFirst)
	fmt.Println(shared.Prefetch(context.Background(), slices.Values(newestFirst), 2))
	// Output: 2
}

// An endless body is not prefetched for ever: Prefetch leaves it when it proves too long to be kept.
func TestPrefetchLeavesWhatHasNoEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		piece := make([]byte, 64<<10)
		o := onAir(10*time.Millisecond, "video/mp2t", func(int) []byte { return piece })
		c := &cache.Transport{Base: o, Store: cache.NewMemory(256 << 20)}
		require.Zero(t, c.Prefetch(t.Context(), slices.Values([]string{"http://o/1.ts"}), 1))
		synctest.Wait()
		require.Zero(t, c.Stats().Fills)
		require.Less(t, c.Stats().OriginBytes, uint64(64<<20))
	})
}
