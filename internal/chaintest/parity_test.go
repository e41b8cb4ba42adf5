package chaintest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// The chain gives a client what the origin itself would give, even if that is not HLS. Anything else is refused with a status
// that tells the reason. The origin is its own outbound proxy, so that no name must be resolved.
func TestTheChainAnswersLikeTheOrigin(t *testing.T) {
	const mpd = `<MPD><Period><BaseURL>v/</BaseURL><SegmentTemplate media="s$Number$.m4s"/></Period></MPD>`
	const session = `{"manifestUrl":"/v1/master/index.m3u8?sessionId=1"}`
	const list = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n/a/s1.ts\n#EXT-X-ENDLIST\n"
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		typ, body := "video/mp4", strings.Repeat("x", 188)
		switch {
		case r.URL.Path == "/a/list.m3u8":
			typ, body = "application/vnd.apple.mpegurl", list
		case r.URL.Path == "/a/film.mpd":
			typ, body = "application/dash+xml", mpd
		case strings.HasPrefix(r.URL.Path, "/v1/session"):
			typ, body = "application/json", session
		}
		w.Header().Set("Content-Type", typ)
		io.WriteString(w, body)
	}))
	defer upstream.Close()
	via := must(url.Parse(upstream.URL))
	direct := &http.Transport{Proxy: http.ProxyURL(via)}
	defer direct.CloseIdleConnections()

	const plain, underscore = "http://cdn.example", "http://hls_live-1.cdn_2.example"
	mappers := map[string]func(host string) rewrite.Mapper{
		"Query":    func(string) rewrite.Mapper { return rewrite.Query("/proxy", "url") },
		"HostPath": func(string) rewrite.Mapper { return must(rewrite.HostPath("/x/")) },
		"Prefix":   func(host string) rewrite.Mapper { return must(rewrite.Prefix("/live/", host+"/")) },
	}
	for name, row := range map[string]struct {
		host, path, ref string   // the request, and the next one by a relative reference
		hosts           []string // of the Guard
		method          string
		only            string // the mapper that the row is for; "": all
		status          int    // through the chain, if it differs
	}{
		"a host with underscores":                          {host: underscore, path: "/a/s1.ts"},
		"a playlist of a host with underscores":            {host: underscore, path: "/a/list.m3u8", ref: "/a/s1.ts"},
		"a host with underscores that is named":            {host: underscore, path: "/a/s1.ts", hosts: []string{"hls_live-1.cdn_2.example"}},
		"a host with underscores below one that is named":  {host: underscore, path: "/a/s1.ts", hosts: []string{"*.cdn_2.example"}},
		"a host with underscores that is not":              {host: underscore, path: "/a/s1.ts", hosts: []string{"*.cdn.example"}, status: 403},
		"DASH by host and path":                            {host: plain, path: "/a/film.mpd", ref: "v/s1.m4s", only: "HostPath"},
		"DASH by a prefix":                                 {host: plain, path: "/a/film.mpd", ref: "v/s1.m4s", only: "Prefix"},
		"DASH whose references nothing can carry":          {host: plain, path: "/a/film.mpd", only: "Query"},
		"a session that is JSON":                           {host: plain, path: "/v1/session/start"},
		"a session that is JSON by the name of a playlist": {host: plain, path: "/v1/session/index.m3u8", status: 502},
		"a session that is posted":                         {host: plain, path: "/v1/session/start", method: http.MethodPost, status: 405},
		"a licence that is posted":                         {host: plain, path: "/a/licence", method: http.MethodPost, status: 405},
	} {
		for kind, mapper := range mappers {
			if row.only != "" && row.only != kind {
				continue
			}
			t.Run(name+"/"+kind, func(t *testing.T) {
				guard := must(origin.NewGuard(origin.GuardConfig{Hosts: row.hosts, Via: via, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}))
				base := guard.Transport()
				defer base.CloseIdleConnections()
				urls := mapper(row.host)
				front := httptest.NewServer(&origin.Proxy{
					Upstream: urls.Upstream, Transport: &cache.Transport{Base: base, Store: cache.NewMemory(1 << 20)},
					ModifyResponse: (&rewrite.Rewriter{Map: urls}).ModifyResponse, OnFailure: func(*http.Request, error) {},
				})
				defer front.Close()
				public := must(url.Parse(front.URL + string(must(urls.AppendPublic(nil, []byte(row.host+row.path))))))
				same := func(from, through string) {
					method := row.method
					if method == "" {
						method = http.MethodGet
					}
					want, body := fetchBy(t, direct, method, from)
					require.Equal(t, 200, want.StatusCode)
					got, text := fetchBy(t, http.DefaultTransport, method, through)
					if row.status != 0 {
						require.Equal(t, row.status, got.StatusCode)
						return
					}
					require.Equal(t, 200, got.StatusCode)
					require.Equal(t, want.Header.Get("Content-Type"), got.Header.Get("Content-Type"))
					if !strings.HasPrefix(body, "#EXTM3U") {
						require.Equal(t, body, text)
					}
				}
				same(row.host+row.path, public.String())
				if row.ref == "" {
					return
				}
				ref := row.ref
				if strings.HasSuffix(row.path, ".m3u8") {
					_, text := fetchBy(t, http.DefaultTransport, http.MethodGet, public.String())
					ref = uris(t, []byte(text), public.String())[0]
				}
				from := must(must(url.Parse(row.host + row.path)).Parse(row.ref)).String()
				same(from, must(public.Parse(ref)).String())
			})
		}
	}
}

func fetchBy(t *testing.T, by http.RoundTripper, method, u string) (*http.Response, string) {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), method, u, nil))
	resp, err := by.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}
