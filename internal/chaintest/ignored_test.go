package chaintest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

// Query parameters that no answer depends on are named once, in the outermost block that knows them. They reach neither the key
// of a cache nor the origin, whether a viewer, a playlist or a redirect has put them into a URL.
func TestIgnoredParametersAreSaidOnce(t *testing.T) {
	ignore := []string{"_", "ts"}
	keys := []sign.Key{{ID: "1", Secret: []byte("0123456789abcdef0123456789abcdef")}}
	sealer := must(sign.NewSealer(sign.Config{Keys: keys}, "/s/"))
	mappers := map[string]func(upstream string) rewrite.Mapper{
		"Prefix":   func(u string) rewrite.Mapper { return must(rewrite.Prefix("/live/", u+"/")) },
		"HostPath": func(string) rewrite.Mapper { return must(rewrite.HostPath("/x/")) },
		"Query":    func(string) rewrite.Mapper { return rewrite.Query("/proxy", "url") },
		"Sealer":   func(string) rewrite.Mapper { return sealer },
	}
	places := map[string]struct {
		signer *sign.Config
		proxy  []string
	}{
		"a Signer of links":       {signer: &sign.Config{Keys: keys, Ignore: ignore}},
		"a Signer of directories": {signer: &sign.Config{Keys: keys, Ignore: ignore, Scope: sign.Directory}},
		"a Proxy":                 {proxy: ignore},
		"half here, half there":   {signer: &sign.Config{Keys: keys, Ignore: ignore[:1]}, proxy: ignore[1:]},
	}
	for place, said := range places {
		for name, mapper := range mappers {
			t.Run(place+"/"+name, func(t *testing.T) {
				var mu sync.Mutex
				asked := map[string]int{}
				upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					mu.Lock()
					defer mu.Unlock()
					asked[r.RequestURI]++
					n := 0
					for _, m := range asked {
						n += m
					}
					switch r.URL.Path {
					case "/a.m3u8":
						w.Header().Set("Cache-Control", "max-age=0") // each viewer sees a list of its own
						fmt.Fprintf(w, "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\ns.ts?ts=%d&x=1\n#EXTINF:9,\nmoved.ts?ts=%d\n#EXTINF:9,\ns.ts?x=2\n", n, n)
					case "/moved.ts":
						http.Redirect(w, r, fmt.Sprint("/to.ts?y=1&ts=", n), http.StatusFound)
					default:
						io.WriteString(w, "G"+r.URL.RawQuery)
					}
				}))
				defer upstream.Close()
				base := &http.Transport{}
				defer base.CloseIdleConnections()
				urls := mapper(upstream.URL)
				playlists := &rewrite.Rewriter{Map: urls}
				var h http.Handler = &origin.Proxy{
					Upstream: urls.Upstream, Ignore: said.proxy, ModifyResponse: playlists.ModifyResponse,
					Transport: &cache.Transport{Base: base, Store: cache.NewMemory(16 << 20), TTL: func(e *cache.Entry) time.Duration {
						if strings.HasSuffix(e.URL, ".m3u8") {
							return 0
						}
						return time.Hour
					}},
				}
				public := string(must(urls.AppendPublic(nil, []byte(upstream.URL+"/a.m3u8"))))
				if said.signer != nil {
					signer := must(sign.New(*said.signer))
					playlists.Sign, h = signer, signer.Handler(h)
					public = must(signer.URL(public))
				}
				s := httptest.NewServer(h)
				defer s.Close()
				own := ignore[0]
				for viewer := range 5 {
					list, body, err := get(t, with(s.URL+public, fmt.Sprint(own, "=", viewer)))
					require.NoError(t, err)
					require.Equal(t, 200, list.StatusCode, "%s", body)
					for i, ref := range strings.Fields(string(body)) {
						if strings.HasPrefix(ref, "#") {
							continue
						}
						u := must(must(url.Parse(s.URL + public)).Parse(ref)).String()
						seg, body, err := get(t, with(u, fmt.Sprintf("%s=%d-%d", own, viewer, i)))
						require.NoError(t, err)
						require.Equal(t, 200, seg.StatusCode, "%s", u)
						require.Contains(t, []string{"Gx=1", "Gx=2", "Gy=1"}, string(body))
					}
				}
				mu.Lock()
				defer mu.Unlock()
				require.Equal(t, 5, asked["/a.m3u8"])
				delete(asked, "/a.m3u8")
				require.LessOrEqual(t, asked["/moved.ts"], 5) // a redirect of no stated lifetime is kept for as long as what it leads to
				delete(asked, "/moved.ts")
				require.Equal(t, map[string]int{"/s.ts?x=1": 1, "/s.ts?x=2": 1, "/to.ts?y=1": 1}, asked)
			})
		}
	}
}

// with adds a parameter to a URL, as a player does.
func with(u, param string) string {
	if strings.Contains(u, "?") {
		return u + "&" + param
	}
	return u + "?" + param
}

// A parameter that was not named counts: it is signed, sent, and part of the key. So are directives, even if they are named.
func TestWhatIsNotIgnoredCounts(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.RequestURI)
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "G"+r.RequestURI)
	}))
	defer upstream.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	urls := must(rewrite.Prefix("/live/", upstream.URL+"/"))
	proxy := &origin.Proxy{Upstream: urls.Upstream, Ignore: []string{"_", "_HLS_msn"}, Transport: &cache.Transport{Base: base, Store: cache.NewMemory(16 << 20)}}
	signer := must(sign.New(sign.Config{Keys: []sign.Key{{ID: "1", Secret: []byte("0123456789abcdef0123456789abcdef")}}, Ignore: []string{"_"}}))
	for _, h := range []http.Handler{proxy, signer.Handler(proxy)} {
		s := httptest.NewServer(h)
		defer s.Close()
		asked = nil
		sent := []string{"/a.ts?_x=1", "/a.ts?x=_", "/a.ts?%5F=1", "/a.ts?u=1", "/a.ts?u=2", "/a.ts?&u=2", "/a.m3u8?_HLS_msn=7"}
		for _, uri := range sent {
			_, body, err := get(t, s.URL+must(signer.URL("/live"+uri)))
			require.NoError(t, err)
			require.Contains(t, string(body), uri)
		}
		if h != http.Handler(proxy) {
			for _, c := range []struct {
				signed, asked string
				status        int
			}{
				{"/live/a.ts", "_=1", 200}, {"/live/a.ts", "_", 200}, {"/live/a.ts?u=1", "_=1&_=2", 200}, {"/live/a.ts?_=1", "_=2", 200},
				{"/live/a.ts", "u=1", 403}, {"/live/a.ts?u=1", "u=2", 403}, {"/live/a.ts", "%5F=1", 403}, {"/live/a.ts?u=1", "_=1&u=2", 403}, {"/live/a.ts", "", 403},
			} {
				got, _, err := get(t, with(s.URL+must(signer.URL(c.signed)), c.asked))
				require.NoError(t, err)
				require.Equal(t, c.status, got.StatusCode, "%s with %s", c.signed, c.asked)
			}
		}
	}
	require.Contains(t, asked, "/a.ts")
}
