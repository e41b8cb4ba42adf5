package chaintest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// The cookie of a load balancer, or Vary: User-Agent, does not make each viewer of a segment ask the origin, if the origin
// cannot tell viewers apart and no cookie reaches them.
func TestABalancersCookieDoesNotSwitchSharingOff(t *testing.T) {
	list := "#EXTM3U\n#EXT-X-TARGETDURATION:60\n#EXTINF:60,\npage.html\n"
	for name, row := range map[string]struct {
		path, body string
		header     http.Header
		proxy      *origin.Proxy
		perViewer  bool
		reverse    bool
		elsewhere  bool // another host's playlist names it
		asked      int64
	}{
		"segment":                      {path: "/1.ts", header: http.Header{"Set-Cookie": {"lb=1"}}, asked: 1},
		"segment, by the player":       {path: "/1.ts", header: http.Header{"Vary": {"User-Agent, Accept-Encoding"}}, asked: 1},
		"segment by type":              {path: "/1", header: http.Header{"Set-Cookie": {"lb=1"}, "Content-Type": {"video/mp4"}}, asked: 1},
		"playlist":                     {path: "/1.m3u8", body: list, header: http.Header{"Set-Cookie": {"lb=1"}}, asked: 1},
		"what a playlist names":        {path: "/page.html", header: http.Header{"Set-Cookie": {"lb=1"}, "Content-Type": {"text/html"}}, asked: 1},
		"what another host's names":    {path: "/page.html", header: http.Header{"Set-Cookie": {"session=1"}, "Content-Type": {"text/html"}}, elsewhere: true, asked: 20},
		"and it varies by the player":  {path: "/page.html", header: http.Header{"Vary": {"User-Agent"}, "Cache-Control": {"max-age=60"}}, elsewhere: true, asked: 20},
		"and it leads on":              {path: "/302", header: http.Header{"Set-Cookie": {"session=1"}}, elsewhere: true, asked: 40},
		"media on another host":        {path: "/1.ts", header: http.Header{"Set-Cookie": {"lb=1"}}, elsewhere: true, asked: 1},
		"too long for one piece":       {path: "/long.mp4", body: strings.Repeat("0123456789abcdef", 200_000), header: http.Header{"Set-Cookie": {"lb=1"}, "Vary": {"User-Agent"}, "Etag": {`"1"`}}, asked: 1 + 2},
		"no media":                     {path: "/other.html", header: http.Header{"Set-Cookie": {"lb=1"}}, asked: 20},
		"key":                          {path: "/1", body: "0123456789abcdef", header: http.Header{"Set-Cookie": {"lb=1"}, "Content-Type": {"application/octet-stream"}}, asked: 20},
		"private":                      {path: "/1.ts", header: http.Header{"Set-Cookie": {"lb=1"}, "Cache-Control": {"private"}}, asked: 20},
		"playlist, by the player":      {path: "/1.m3u8", body: list, header: http.Header{"Vary": {"User-Agent"}}, asked: 20},
		"switched off":                 {path: "/1.ts", header: http.Header{"Set-Cookie": {"lb=1"}}, perViewer: true, asked: 20},
		"switched off, by the player":  {path: "/1.ts", header: http.Header{"Vary": {"User-Agent"}}, perViewer: true, asked: 20},
		"a field of viewers goes on":   {path: "/1.ts", header: http.Header{"Set-Cookie": {"lb=1"}}, proxy: &origin.Proxy{Header: append(origin.DefaultHeader(), "X-Key")}, asked: 20},
		"their addresses go on":        {path: "/1.ts", header: http.Header{"Set-Cookie": {"lb=1"}}, proxy: &origin.Proxy{Forwarded: true}, asked: 20},
		"below another proxy":          {path: "/1.ts", header: http.Header{"Set-Cookie": {"lb=1"}}, reverse: true, asked: 20},
		"a redirect to one's own path": {path: "/302.ts", header: http.Header{"Set-Cookie": {"session=1"}, "Cache-Control": {"max-age=9"}}, asked: 40},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/list.m3u8" {
					io.WriteString(w, list)
					return
				}
				n := asked.Add(1)
				for name, v := range row.header {
					w.Header()[name] = v
				}
				if strings.HasPrefix(r.URL.Path, "/302") {
					http.Redirect(w, r, strings.Replace(r.URL.Path, "302", fmt.Sprint("of", n), 1), http.StatusFound)
					return
				}
				body := row.body
				if body == "" {
					body = "G" + strings.Repeat(".", 999)
				}
				http.ServeContent(w, r, "", time.Time{}, strings.NewReader(body))
			}))
			defer upstream.Close()
			tr := &http.Transport{}
			defer tr.CloseIdleConnections()
			c := &cache.Transport{Base: tr, Store: cache.NewMemory(64 << 20), MaxBody: 1 << 20, PerViewer: row.perViewer}
			p := row.proxy
			if p == nil {
				p = new(origin.Proxy)
			}
			anybodys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, strings.Replace(list, "page.html", upstream.URL+row.path, 1))
			}))
			defer anybodys.Close()
			p.Transport = c
			p.Upstream = func(u *url.URL) (string, error) {
				if row.elsewhere && u.Path == "/list.m3u8" {
					return anybodys.URL + u.Path, nil
				}
				return upstream.URL + u.RequestURI(), nil
			}
			var h http.Handler = p
			if row.reverse {
				u := must(url.Parse(upstream.URL))
				h = &httputil.ReverseProxy{Transport: c, Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(u) }}
			}
			front := httptest.NewServer(h)
			defer front.Close()
			for i := range 21 {
				path := row.path
				if i == 0 {
					path = "/list.m3u8"
				}
				r := must(http.NewRequest(http.MethodGet, front.URL+path, nil))
				r.Header.Set("User-Agent", fmt.Sprint("player ", i))
				r.Header.Set("X-Key", fmt.Sprint(i))
				resp := must(http.DefaultClient.Do(r))
				_, err := io.Copy(io.Discard, resp.Body)
				require.NoError(t, err)
				resp.Body.Close()
				require.Equal(t, 200, resp.StatusCode)
				require.Equal(t, row.reverse && i > 0, resp.Header.Get("Set-Cookie") != "")
			}
			require.Equal(t, row.asked, asked.Load())
		})
	}
}

// Segments redirect to a URL that is freshly signed at each request. Later viewers are sent to the body that is stored.
func TestRedirectsToSignedURLs(t *testing.T) {
	for _, status := range []int{302, 303, 307} {
		var redirects, bodies atomic.Int64
		upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/store/1.ts" {
				http.Redirect(w, r, fmt.Sprint("/store/1.ts?signature=", redirects.Add(1)), status)
				return
			}
			bodies.Add(1)
			w.Header().Set("Content-Type", "video/mp2t")
			io.WriteString(w, "segment")
		}))
		defer upstream.Close()
		tr := &http.Transport{}
		defer tr.CloseIdleConnections()
		m := cache.NewMemory(1 << 20)
		c := &cache.Transport{Base: tr, Store: m}
		front := httptest.NewServer(&origin.Proxy{
			Upstream: func(u *url.URL) (string, error) { return upstream.URL + u.RequestURI(), nil }, Transport: c,
		})
		defer front.Close()
		ask := func(path string) {
			resp := must(http.Get(front.URL + path))
			require.Equal(t, "segment", string(must(io.ReadAll(resp.Body))))
			resp.Body.Close()
		}
		for range 5 {
			ask("/1.ts")
		}
		require.EqualValues(t, 1, bodies.Load())
		require.EqualValues(t, 1, redirects.Load())
		c.PurgePrefix(t.Context(), upstream.URL+"/store/")
		ask("/1.ts")
		require.EqualValues(t, 2, redirects.Load(), "a signature whose body is not there may be over")
		for range 2 {
			ask("/other")
		}
		require.EqualValues(t, 4, redirects.Load(), "what is no segment is asked for")
	}
}
