package hlsproxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign"
)

// The whole chain in the right order, in front of an origin that knows neither CORS nor tokens.
func Example() {
	media := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nseg1.ts\n#EXT-X-ENDLIST\n")
	}))
	defer media.Close()

	tree, err := rewrite.Prefix("/live/", media.URL+"/") // /live/a/x.m3u8 is /a/x.m3u8 at the origin
	if err != nil {
		panic(err)
	}
	signer, err := sign.New(sign.Config{
		Keys:  []sign.Key{{ID: "2026", Secret: []byte("a secret of at least 16 bytes")}},
		TTL:   time.Hour,
		Scope: sign.Directory, // one token opens everything beside and below the playlist
	})
	if err != nil {
		panic(err)
	}
	cors, err := corsmw.New(corsmw.Config{Origins: []string{"https://page.example"}})
	if err != nil {
		panic(err)
	}
	guard, err := origin.NewGuard(origin.GuardConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}) // the test origin's address
	if err != nil {
		panic(err)
	}
	playlists := &rewrite.Rewriter{Map: tree, Sign: signer}
	proxy := &origin.Proxy{
		Upstream:       tree.Upstream,
		Transport:      &cache.Transport{Base: guard.Transport(), Store: cache.NewMemory(256 << 20)},
		ModifyResponse: playlists.ModifyResponse,
	}
	service := httptest.NewServer(cors.Handler(signer.Handler(rangeserve.Handler(proxy))))
	defer service.Close()

	link, err := signer.URL(service.URL + "/live/show/index.m3u8")
	if err != nil {
		panic(err)
	}
	resp, err := http.Get(link)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	for line := range strings.Lines(string(body)) {
		if before, _, signed := strings.Cut(line, "?"); signed {
			line = before + "?(token)\n"
		}
		fmt.Print(line)
	}
	// Output:
	// #EXTM3U
	// #EXT-X-TARGETDURATION:4
	// #EXTINF:4,
	// /live/show/seg1.ts?(token)
	// #EXT-X-ENDLIST
}

// Signing outside CORS: a browser's preflight carries no token, so it is refused, and the page is shown a CORS error in
// place of every answer.
func Example_wrongOrder() {
	signer, err := sign.New(sign.Config{Keys: []sign.Key{{ID: "1", Secret: []byte("a secret of at least 16 bytes")}}})
	if err != nil {
		panic(err)
	}
	cors, err := corsmw.New(corsmw.Config{Origins: []string{"*"}})
	if err != nil {
		panic(err)
	}
	preflight := func(h http.Handler) string {
		r := httptest.NewRequest(http.MethodOptions, "/live/index.m3u8", nil)
		r.Header.Set("Origin", "https://page.example")
		r.Header.Set("Access-Control-Request-Method", "GET")
		r.Header.Set("Access-Control-Request-Headers", "range")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return fmt.Sprintf("%d, Access-Control-Allow-Origin: %q", w.Code, w.Header().Get("Access-Control-Allow-Origin"))
	}
	next := http.NotFoundHandler()
	fmt.Println("right:", preflight(cors.Handler(signer.Handler(next))))
	fmt.Println("wrong:", preflight(signer.Handler(cors.Handler(next))))
	// Output:
	// right: 204, Access-Control-Allow-Origin: "*"
	// wrong: 401, Access-Control-Allow-Origin: ""
}
