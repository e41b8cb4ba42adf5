package chaintest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

// sessions is an origin whose multivariant playlist opens a session that no other origin knows.
func sessions(t *testing.T, name string) *faultorigin.Origin {
	o := faultorigin.New(t)
	mpegurl := http.Header{"Content-Type": {"application/vnd.apple.mpegurl"}}
	o.Handle("/master.m3u8", faultorigin.Script{Header: mpegurl, Body: []byte("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow/index.m3u8?session=" + name + "\n")})
	media := "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n../media/a.ts?session=" + name + "\n#EXT-X-ENDLIST\n"
	known := func(script faultorigin.Script) faultorigin.Script {
		return faultorigin.Script{Func: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery != "session="+name {
				http.Error(w, "no such session", http.StatusForbidden)
				return
			}
			w.Header()["Content-Type"] = script.Header["Content-Type"]
			w.Write(script.Body)
		})}
	}
	o.Handle("/low/index.m3u8", known(faultorigin.Script{Header: mpegurl, Body: []byte(media)}))
	o.Handle("/media/a.ts", known(faultorigin.Script{Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: []byte("media")}))
	return o
}

// Each kind of file has a directory of its own, so the pool would send each to another origin.
func TestASessionStaysWithItsOrigin(t *testing.T) {
	var origins []string
	for i := range 5 {
		origins = append(origins, sessions(t, fmt.Sprint(i)).URL)
	}
	guard := must(origin.NewGuard(origin.GuardConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}))
	upstream := guard.Transport()
	t.Cleanup(upstream.CloseIdleConnections)
	secret := []byte("0123456789abcdef0123456789abcdef")
	pool := must(origin.NewPool(origin.PoolConfig{Origins: origins, Base: upstream, Sticky: secret}))
	tree := must(rewrite.Prefix("/live/", origins[0], origins[1:]...))
	signer := must(sign.New(sign.Config{Keys: []sign.Key{{ID: "1", Secret: secret}}, TTL: time.Hour}))
	shared := &cache.Transport{Base: pool, Store: cache.NewMemory(1 << 20)}
	playlists := &rewrite.Rewriter{Map: tree, Sign: rewrite.SignChain(rewrite.SignFunc(origin.Stick), signer)}
	server := httptest.NewServer(signer.Handler(&origin.Proxy{
		Upstream: tree.Upstream, Transport: shared, ModifyResponse: playlists.ModifyResponse, Sticky: "o",
	}))
	t.Cleanup(server.Close)
	entry := must(signer.URL(server.URL + "/live/master.m3u8"))
	for range 2 { // from the origin, and from the cache
		_, master, err := get(t, entry)
		require.NoError(t, err)
		list := uris(t, master, server.URL+"/live/master.m3u8")
		require.Len(t, list, 1)
		resp, media, err := get(t, list[0])
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode, "%s", media)
		segments := uris(t, media, list[0])
		require.Len(t, segments, 1)
		resp, body, err := get(t, segments[0])
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, "media", string(body))
		require.Empty(t, resp.Header.Get("Hlsproxy-Origin"))

		// The token covers the mark, so nobody can lead others elsewhere.
		before, after, _ := strings.Cut(segments[0], "o=")
		resp, _, err = get(t, before+"o=AAAAAAAAAAAA"+after[12:])
		require.NoError(t, err)
		require.Equal(t, 403, resp.StatusCode)
	}
	require.EqualValues(t, 3, shared.Stats().Stored, "a mark is no part of a key")
}
