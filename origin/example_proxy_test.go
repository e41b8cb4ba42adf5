package origin_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"

	"github.com/hlsproxy/hlsproxy/origin"
)

// A tree of public URLs is in front of a media server. Proxy follows redirects itself, passes statuses on unchanged, and drops
// what the server says to browsers about itself.
func ExampleProxy() {
	media := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/a/seg1.ts":
			http.Redirect(w, r, "/store/1", http.StatusFound)
		case "/store/1":
			w.Header().Set("Content-Type", "video/mp2t")
			w.Header().Set("Set-Cookie", "session=1")
			io.WriteString(w, "media")
		default:
			http.Error(w, "gone", http.StatusGone)
		}
	}))
	defer media.Close()

	guard, err := origin.NewGuard(origin.GuardConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}) // where the example's server is
	if err != nil {
		panic(err)
	}
	proxy := httptest.NewServer(&origin.Proxy{
		Upstream:  func(u *url.URL) (string, error) { return media.URL + u.RequestURI(), nil },
		Transport: guard.Transport(),
	})
	defer proxy.Close()

	for _, path := range []string{"/a/seg1.ts", "/a/seg0.ts"} {
		resp, err := http.Get(proxy.URL + path)
		if err != nil {
			panic(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Printf("%d %q %q\n", resp.StatusCode, body, resp.Header["Set-Cookie"])
	}
	// Output:
	// 200 "media" []
	// 410 "gone\n" []
}
