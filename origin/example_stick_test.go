package origin_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/hlsproxy/hlsproxy/origin"
)

// The origins open a session with a playlist, and each knows only its own sessions. In a service, Stick is the hook of a
// rewriter that extends public URLs, before a signature.
func ExampleStick() {
	session := roundTrip(func(r *http.Request) (*http.Response, error) { // instead of a guard's transport
		return &http.Response{StatusCode: 200, Header: http.Header{"X-Served-By": {r.URL.Host}}, Body: http.NoBody, Request: r}, nil
	})
	pool, err := origin.NewPool(origin.PoolConfig{
		Origins: []string{"http://a.example", "http://b.example"}, Base: session, Sticky: []byte("a secret that all nodes share"),
	})
	if err != nil {
		panic(err)
	}
	var child []byte
	proxy := &origin.Proxy{
		Sticky: "o", Transport: pool, ResponseHeader: []string{"X-Served-By"},
		Upstream: func(u *url.URL) (string, error) { return "http://a.example" + u.RequestURI(), nil },
		ModifyResponse: func(resp *http.Response) (err error) {
			child, err = origin.Stick(resp.Request.Context(), []byte("/720p/seg1.ts?session=7"))
			return err
		},
	}
	get := func(path string) string {
		w := httptest.NewRecorder()
		proxy.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Header().Get("X-Served-By")
	}

	first := get("/master.m3u8?session=7")
	link, mark, _ := strings.Cut(string(child), "&o=")
	fmt.Println(link, len(mark))
	fmt.Println(get(string(child)) == first)
	// Output:
	// /720p/seg1.ts?session=7 12
	// true
}
