package hlsproxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/Eyevinn/hls-m3u8/m3u8"
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

// wish is what a viewer may have of a stream.
type wish struct {
	maxHeight int
	language  string
}

type wishKey struct{}

// A link says what fits its viewer: /live/show/index.m3u8?max-height=720&lang=en. The signature covers the query, so nobody can
// wish for more. The origin does not see these parameters, and the cache has one playlist for all wishes.
func Example_filterByQuery() {
	media := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "#EXTM3U\n"+
			"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"Deutsch\",LANGUAGE=\"de\",DEFAULT=YES,AUTOSELECT=YES,URI=\"de.m3u8\"\n"+
			"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"English\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=YES,URI=\"en.m3u8\"\n"+
			"#EXT-X-STREAM-INF:BANDWIDTH=5000000,RESOLUTION=1920x1080,AUDIO=\"a\"\n1080.m3u8\n"+
			"#EXT-X-STREAM-INF:BANDWIDTH=2000000,RESOLUTION=1280x720,AUDIO=\"a\"\n720.m3u8\n")
	}))
	defer media.Close()
	tree, err := rewrite.Prefix("/live/", media.URL+"/")
	if err != nil {
		panic(err)
	}
	signer, err := sign.New(sign.Config{Keys: []sign.Key{{ID: "1", Secret: []byte("a secret of at least 16 bytes")}}})
	if err != nil {
		panic(err)
	}
	guard, err := origin.NewGuard(origin.GuardConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}) // the test origin's address
	if err != nil {
		panic(err)
	}
	proxy := &origin.Proxy{
		Upstream:  tree.Upstream,
		Transport: &cache.Transport{Base: guard.Transport(), Store: cache.NewMemory(256 << 20)},
		ModifyResponse: func(resp *http.Response) error {
			playlists := &rewrite.Rewriter{Map: tree, Sign: signer}
			w, _ := resp.Request.Context().Value(wishKey{}).(wish)
			if w.maxHeight > 0 {
				playlists.Variant = func(v *m3u8.Variant) bool {
					_, height, _ := strings.Cut(v.Resolution, "x")
					n, err := strconv.Atoi(height)
					return err != nil || n <= w.maxHeight
				}
			}
			if w.language != "" {
				playlists.Rendition = func(a *m3u8.Alternative) bool { return a.Language == "" || a.Language == w.language }
			}
			return playlists.ModifyResponse(resp)
		},
	}
	wishes := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		height, _ := strconv.Atoi(query.Get("max-height"))
		r = r.WithContext(context.WithValue(r.Context(), wishKey{}, wish{height, query.Get("lang")}))
		query.Del("max-height")
		query.Del("lang")
		u := *r.URL
		u.RawQuery = query.Encode()
		r.URL = &u
		proxy.ServeHTTP(w, r)
	})
	service := httptest.NewServer(signer.Handler(wishes))
	defer service.Close()

	link, err := signer.URL(service.URL + "/live/show/index.m3u8?max-height=720&lang=en")
	if err != nil {
		panic(err)
	}
	for _, url := range []string{link, strings.Replace(link, "max-height=720", "max-height=1080", 1)} {
		resp, err := http.Get(url)
		if err != nil {
			panic(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Println(resp.Status)
		if resp.StatusCode == http.StatusOK {
			fmt.Print(regexp.MustCompile(`hpt=[\w.-]+`).ReplaceAllString(string(body), "(token)"))
		}
	}
	// Output:
	// 200 OK
	// #EXTM3U
	// #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,URI="/live/show/en.m3u8?(token)"
	// #EXT-X-STREAM-INF:BANDWIDTH=2000000,RESOLUTION=1280x720,AUDIO="a"
	// /live/show/720.m3u8?(token)
	// 403 Forbidden
}
