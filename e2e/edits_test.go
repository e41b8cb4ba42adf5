package e2e

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/corsmw"
	upstream "github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// bilingual is the shape with separate audio, and in front of it a rendition that exists only by name.
const bilingual = `#EXTM3U
#EXT-X-VERSION:6
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="Deutsch",LANGUAGE="de",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="missing/index.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="Sine",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="2",URI="audio/index.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=500000,CODECS="avc1.42c00d,mp4a.40.2",RESOLUTION=320x180,AUDIO="a"
video/index.m3u8
`

// edited is a chain that cuts and filters playlists, with a cache that fetches ahead of its viewers. It shows ten segments of a
// TS film of ten minutes, the end of the live window, and the second of two audio renditions.
func edited(t *testing.T, o *origin) func(playlist string) string {
	t.Helper()
	files := o.files
	o.files = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/mv/bilingual.m3u8":
			serveMedia(w, r, []byte(bilingual))
		case "/long/index.m3u8":
			r.URL.Path = "/window/all.m3u8"
			folder(media(t)).ServeHTTP(w, r)
		default:
			if strings.HasPrefix(r.URL.Path, "/long/") {
				r.URL.Path = strings.Replace(r.URL.Path, "/long/", "/window/", 1)
				folder(media(t)).ServeHTTP(w, r)
				return
			}
			files.ServeHTTP(w, r)
		}
	})
	tree, err := rewrite.Prefix("/edited/", o.URL+"/")
	require.NoError(t, err)
	guard, err := upstream.NewGuard(upstream.GuardConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	require.NoError(t, err)
	cors, err := corsmw.New(corsmw.Config{Origins: []string{"*"}})
	require.NoError(t, err)
	var public string
	english := func(a *m3u8.Alternative) bool { return a.Type != "AUDIO" || a.Language != "de" }
	shared := &cache.Transport{Base: guard.Transport(), Store: cache.NewMemory(256 << 20), Ahead: 2}
	proxy := &upstream.Proxy{Upstream: tree.Upstream, Transport: shared, ModifyResponse: func(resp *http.Response) error {
		rw := &rewrite.Rewriter{Map: tree, Rendition: english, Public: public}
		switch resp.Request.URL.Path {
		case "/long/index.m3u8":
			rw.Window = rewrite.Window{From: 21 * time.Second, To: 39 * time.Second} // whole segments of 2 s
		case "/window/index.m3u8":
			rw.Window = rewrite.Window{Segments: 3}
		}
		return rw.ModifyResponse(resp)
	}}
	mux := http.NewServeMux()
	mux.Handle("/edited/", cors.Handler(rangeserve.Handler(proxy)))
	server := startOrigin(t, mux)
	public = server.URL
	t.Cleanup(func() {
		s := shared.Stats()
		require.NotZero(t, s.PrefetchedUsed)
		require.Zero(t, o.asked("/mv/missing/index.m3u8"))
		t.Logf("of %d segments that were fetched ahead %d were asked for; %d hits, %d joins, %d misses", s.Prefetched, s.PrefetchedUsed, s.Hits, s.Joins, s.Misses)
	})
	return func(playlist string) string {
		switch playlist {
		case "ts/index.m3u8":
			playlist = "long/index.m3u8"
		case "mv/master.m3u8":
			playlist = "mv/bilingual.m3u8"
		}
		return server.URL + "/edited/" + playlist
	}
}
