package origin_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/hlsproxy/hlsproxy/origin"
)

// Two origins hold the same streams. A stream stays with one of them, and moves when that fails.
func ExamplePool() {
	serve := func() *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "media") }))
	}
	a, b := serve(), serve()
	defer a.Close()
	defer b.Close()

	guard, err := origin.NewGuard(origin.GuardConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}) // the addresses of the example's servers
	if err != nil {
		panic(err)
	}
	pool, err := origin.NewPool(origin.PoolConfig{Origins: []string{a.URL, b.URL}, Base: guard.Transport()})
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: pool}
	get := func() string {
		resp, err := client.Get(a.URL + "/cam1/seg1.ts") // the URL may name any origin: the pool decides
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}

	fmt.Println(get(), get())
	for _, s := range pool.State() {
		if s.Requests == 2 { // the stream's home
			for _, server := range []*httptest.Server{a, b} {
				if "http://"+server.Listener.Addr().String()+"/" == s.Origin {
					server.CloseClientConnections()
					server.Close()
				}
			}
		}
	}
	fmt.Println(get())
	// Output:
	// media media
	// media
}
