package cache_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
)

// Two viewers, one question to the origin.
func Example() {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "video/mp2t")
		fmt.Fprint(w, "0123456789")
	}))
	defer origin.Close()

	shared := &cache.Transport{Store: cache.NewMemory(1 << 30)}
	client := &http.Client{Transport: shared} // or httputil.ReverseProxy, or origin.Proxy

	for _, part := range []string{"", "bytes=2-4"} {
		r, _ := http.NewRequest(http.MethodGet, origin.URL+"/seg1.ts", nil)
		if part != "" {
			r.Header.Set("Range", part)
		}
		resp, err := client.Do(r)
		if err != nil {
			panic(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			panic(err) // a body that broke never ends cleanly
		}
		fmt.Println(resp.StatusCode, string(body), resp.Header.Get("Cache-Status"))
	}
	s := shared.Stats()
	fmt.Println(s.Misses, "miss,", s.Hits, "hit")
	// Output:
	// 200 0123456789 hlsproxy; fwd=uri-miss; stored
	// 206 234 hlsproxy; hit
	// 1 miss, 1 hit
}

// Lifetimes of the operator's own, by kind, over what HLS finds.
func ExampleHLS() {
	ttl := func(e *cache.Entry) time.Duration {
		d := cache.HLS(e)
		if path.Ext(e.URL) == ".ts" {
			d = min(d, 10*time.Minute) // the encoder uses its names again when it restarts
		}
		return d
	}
	segment := &cache.Entry{URL: "https://origin.example/live/1.ts", Status: 200}
	list := &cache.Entry{
		URL: "https://origin.example/live/index.m3u8", Status: 200,
		Body: cache.Bytes([]byte("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n1.ts\n")),
	}
	fmt.Println(ttl(segment), ttl(list))
	// Output: 10m0s 2s
}

// An origin that forbids to share what may be shared is overruled where its answers come in.
func ExampleTransport_base() {
	origin := trip(func(r *http.Request) (*http.Response, error) {
		return text("segment", "Content-Type", "video/mp2t", "Cache-Control", "no-store").response(r), nil
	})
	overruled := trip(func(r *http.Request) (*http.Response, error) {
		resp, err := origin.RoundTrip(r)
		if err == nil && path.Ext(r.URL.Path) == ".ts" {
			resp.Header.Set("Cache-Control", "max-age=60")
		}
		return resp, err
	})
	shared := &cache.Transport{Base: overruled, Store: cache.NewMemory(1 << 20)}
	for range 2 {
		r, _ := http.NewRequest(http.MethodGet, "http://origin.example/1.ts", nil)
		resp, err := shared.RoundTrip(r)
		if err != nil {
			panic(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		fmt.Println(resp.Header.Get("Cache-Status"))
	}
	// Output:
	// hlsproxy; fwd=uri-miss; stored
	// hlsproxy; hit
}
