package cache_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

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
