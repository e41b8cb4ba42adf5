package chaintest_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

// chain is all the blocks in the right order, as a service would mount them.
type chain struct {
	*httptest.Server
	origin *faultorigin.Origin
	cache  *cache.Transport
	signer *sign.Signer
}

type chainConfig struct {
	mapper func(originURL string) rewrite.Mapper // nil: Prefix("/live/", origin)
	signed bool
	idle   time.Duration
	wait   time.Duration
	ring   int64
}

func newChain(t *testing.T, c chainConfig) *chain {
	t.Helper()
	ch := &chain{origin: faultorigin.New(t)}
	mapper := must(rewrite.Prefix("/live/", ch.origin.URL+"/"))
	if c.mapper != nil {
		mapper = c.mapper(ch.origin.URL)
	}
	guard := must(origin.NewGuard(origin.GuardConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}))
	upstream := guard.Transport()
	t.Cleanup(upstream.CloseIdleConnections)
	ch.cache = &cache.Transport{Base: upstream, Store: cache.NewMemory(64 << 20), Idle: c.idle, Ring: c.ring}
	rewriter := &rewrite.Rewriter{Map: mapper}
	var h http.Handler = &origin.Proxy{
		Upstream: mapper.Upstream, Transport: ch.cache, ModifyResponse: rewriter.ModifyResponse, Idle: c.idle, Wait: c.wait,
	}
	h = rangeserve.Handler(h)
	if c.signed {
		ch.signer = must(sign.New(sign.Config{
			Keys: []sign.Key{{ID: "1", Secret: []byte("0123456789abcdef0123456789abcdef")}}, TTL: time.Hour,
		}))
		rewriter.Sign = ch.signer
		h = ch.signer.Handler(h)
	}
	h = must(corsmw.New(corsmw.Config{Origins: []string{"*"}})).Handler(h)
	ch.Server = httptest.NewServer(h)
	t.Cleanup(ch.Server.Close)
	return ch
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// get sends the request of a page of another origin. The error tells whether the body ended cleanly.
func get(t *testing.T, url string, header ...string) (*http.Response, []byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r := must(http.NewRequestWithContext(ctx, http.MethodGet, url, nil))
	r.Header.Set("Origin", "https://page.example")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

const master = `#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="en",URI="audio/index.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"
video/index.m3u8
`

const media = "#EXTM3U\r\n#EXT-X-TARGETDURATION:4\r\n#EXT-X-KEY:METHOD=AES-128,URI=\"../key.key\"\r\n#EXT-X-MAP:URI=\"init.mp4\"\r\n" +
	"#EXTINF:4.00000,a,b\r\nseg1.m4s?x=1,2\r\n#EXT-X-ENDLIST"

func vod(o *faultorigin.Origin) []byte {
	seg := bytes.Repeat([]byte("0123456789"), 30_000)
	text := http.Header{"Content-Type": {"text/plain"}}
	mp4 := http.Header{"Content-Type": {"video/mp4"}, "Access-Control-Allow-Origin": {"https://other.example"}}
	cookie := mp4.Clone()
	cookie.Set("Set-Cookie", "a=b")
	o.Handle("/vod/master.m3u8", faultorigin.Script{Header: text, Body: []byte(master)})
	for _, dir := range []string{"audio", "video"} {
		o.Handle("/vod/"+dir+"/index.m3u8", faultorigin.Script{Header: text, Body: []byte(media)})
		o.Handle("/vod/"+dir+"/init.mp4", faultorigin.Script{Header: cookie, Body: []byte("init")})
		o.Handle("/vod/"+dir+"/seg1.m4s", faultorigin.Script{Header: mp4, Body: seg})
	}
	o.Handle("/vod/key.key", faultorigin.Script{Body: []byte("0123456789abcdef")})
	return seg
}

// uris lists what a player would fetch next, as the library reads the playlist.
func uris(t *testing.T, playlist []byte, base string) []string {
	t.Helper()
	var out []string
	for ref, err := range rewrite.Refs(playlist, base) {
		require.NoError(t, err)
		out = append(out, ref.URL)
	}
	return out
}

func TestChainPlaysAVOD(t *testing.T) {
	query := func(string) rewrite.Mapper { return rewrite.Query("/proxy", "url") }
	hostPath := func(string) rewrite.Mapper { return must(rewrite.HostPath("/x/")) }
	for name, c := range map[string]chainConfig{
		"prefix": {}, "prefix signed": {signed: true},
		"query": {mapper: query}, "query signed": {mapper: query, signed: true},
		"host path": {mapper: hostPath}, "host path signed": {mapper: hostPath, signed: true},
	} {
		t.Run(name, func(t *testing.T) {
			ch := newChain(t, c)
			seg := vod(ch.origin)
			for range 2 {
				entry := ch.URL + string(must(ch.mapper(c).AppendPublic(nil, []byte(ch.origin.URL+"/vod/master.m3u8"))))
				if c.signed {
					entry = must(ch.signer.URL(entry))
				}
				seen := map[string][]byte{}
				ch.crawl(t, entry, seen)
				require.Equal(t, 1+2+2*2+1, len(seen), "master, two playlists with an init and a segment each, one key")
				segments := 0
				for _, body := range seen {
					if bytes.Equal(body, seg) {
						segments++
					}
				}
				require.Equal(t, 2, segments)
			}
			for _, r := range ch.origin.Log() {
				require.NotContains(t, r.URI, "tok", "a token reached the origin")
				require.NotContains(t, r.URI, "url=")
			}
			require.Equal(t, 1, ch.origin.Requests("/vod/video/seg1.m4s"), "the second viewer was served from the cache")
		})
	}
}

func (ch *chain) mapper(c chainConfig) rewrite.Mapper {
	if c.mapper != nil {
		return c.mapper(ch.origin.URL)
	}
	return must(rewrite.Prefix("/live/", ch.origin.URL+"/"))
}

func (ch *chain) crawl(t *testing.T, url string, seen map[string][]byte) {
	t.Helper()
	if _, ok := seen[url]; ok {
		return
	}
	resp, body, err := get(t, url)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s: %s", url, body)
	require.Equal(t, []string{"*"}, resp.Header.Values("Access-Control-Allow-Origin"))
	require.Empty(t, resp.Header.Values("Set-Cookie"))
	seen[url] = body
	if resp.Header.Get("Content-Type") != "application/vnd.apple.mpegurl" {
		if len(body) < 3 {
			return
		}
		part, cut, err := get(t, url, "Range", "bytes=1-2")
		require.NoError(t, err)
		require.Equal(t, http.StatusPartialContent, part.StatusCode)
		require.Equal(t, body[1:3], cut)
		return
	}
	whole, again, err := get(t, url, "Range", "bytes=0-")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, whole.StatusCode, "a playlist is never cut")
	require.Equal(t, body, again, "URIs keep their spelling across reloads")
	for _, child := range uris(t, body, url) {
		require.True(t, strings.HasPrefix(child, ch.URL+"/"), "%s leads past the proxy", child)
		ch.crawl(t, child, seen)
	}
}

func TestChainChangesOnlyTheURIsOfAPlaylist(t *testing.T) {
	ch := newChain(t, chainConfig{})
	vod(ch.origin)
	_, body, err := get(t, ch.URL+"/live/vod/video/index.m3u8")
	require.NoError(t, err)
	want := strings.NewReplacer("../key.key", "/live/vod/key.key", "init.mp4", "/live/vod/video/init.mp4",
		"seg1.m4s", "/live/vod/video/seg1.m4s").Replace(media)
	require.Equal(t, want, string(body))
}

// The variables of a multivariant playlist must reach its children, whatever the mapper, the cache and the signature do to
// their URLs.
func TestVariablesReachTheChildren(t *testing.T) {
	query := func(string) rewrite.Mapper { return rewrite.Query("/proxy", "url") }
	for name, c := range map[string]chainConfig{"prefix signed": {signed: true}, "query signed": {mapper: query, signed: true}} {
		t.Run(name, func(t *testing.T) {
			ch := newChain(t, c)
			ch.origin.Handle("/m.m3u8", faultorigin.Script{Body: []byte("#EXTM3U\n#EXT-X-DEFINE:NAME=\"d\",VALUE=\"deep\"\n" +
				"#EXT-X-STREAM-INF:BANDWIDTH=1\n{$d}/v.m3u8\n")})
			ch.origin.Handle("/deep/v.m3u8", faultorigin.Script{Status: 302, Header: http.Header{"Location": {"/moved/v.m3u8"}}})
			ch.origin.Handle("/moved/v.m3u8", faultorigin.Script{Body: []byte("#EXTM3U\n#EXT-X-TARGETDURATION:4\n" +
				"#EXT-X-DEFINE:IMPORT=\"d\"\n#EXTINF:4,\n{$d}er/s.ts\n#EXT-X-ENDLIST\n")})
			ch.origin.Handle("/moved/deeper/s.ts", faultorigin.Script{Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: []byte("G")})
			entry := must(ch.signer.URL(ch.URL + string(must(ch.mapper(c).AppendPublic(nil, []byte(ch.origin.URL+"/m.m3u8"))))))
			seen := map[string][]byte{}
			ch.crawl(t, entry, seen)
			require.Equal(t, 1, ch.origin.Requests("/moved/deeper/s.ts"))
		})
	}
}

// A client looks for a QUERYPARAM in the URL that it knows (section 4.4.2.3 of the HLS draft). A parameter from a redirect that
// the proxy followed is not there, so the definition becomes one by value.
func TestQueryParametersOfARedirectReachTheClient(t *testing.T) {
	ch := newChain(t, chainConfig{})
	ch.origin.Handle("/v.m3u8", faultorigin.Script{Status: 302, Header: http.Header{"Location": {"/w.m3u8?t=deep"}}})
	ch.origin.Handle("/w.m3u8", faultorigin.Script{Body: []byte("#EXTM3U\n#EXT-X-TARGETDURATION:4\n" +
		"#EXT-X-DEFINE:QUERYPARAM=\"t\"\n#EXTINF:4,\n{$t}/s.ts\n")})
	_, body, err := get(t, ch.URL+"/live/v.m3u8")
	require.NoError(t, err)
	require.Contains(t, string(body), `#EXT-X-DEFINE:NAME="t",VALUE="deep"`+"\n")
	require.Contains(t, string(body), "/live/deep/s.ts\n")
}

// A Sealer may not import the Mapper's package, but a URL that it cannot seal must stay as it is.
func TestWhatCannotBeSealedStays(t *testing.T) {
	sealer := must(sign.NewSealer(sign.Config{Keys: []sign.Key{{ID: "1", Secret: []byte("0123456789abcdef0123456789abcdef")}}}, "/s/"))
	out, err := (&rewrite.Rewriter{Map: sealer}).Append(t.Context(), nil, []byte("#EXTM3U\n#EXTINF:4,\nseg.ts\n"), "")
	require.NoError(t, err)
	require.Equal(t, "#EXTM3U\n#EXTINF:4,\nseg.ts\n", string(out))
}
