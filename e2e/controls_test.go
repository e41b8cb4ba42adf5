package e2e

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A limit is something that a player cannot do with a shape, with or without a proxy.
type limit struct {
	shape, player string
	plays, seeks  bool // what it cannot do
	reason        string
}

var limits = slices.Concat(
	[]limit{
		{shape: "byte ranges", player: "Chromium", plays: true, reason: "its own HLS plays no byte ranges of MPEG-TS"},
		{shape: "LL-HLS", player: "video.js", plays: true, reason: "it begins at the very edge and waits there for seconds"},
	},
	noSeeks("ffmpeg", "mpv"),
)

// noSeeks: the demuxer of ffmpeg 5 finds nothing after a seek in fMP4.
func noSeeks(players ...string) []limit {
	var list []limit
	for _, s := range []string{"fMP4", "separate audio", "subtitles", "I-frame playlist", "interstitials"} {
		for _, p := range players {
			list = append(list, limit{shape: s, player: p, seeks: true, reason: "it shows nothing after a seek in fMP4"})
		}
	}
	return list
}

func limitOf(s shape, p player) limit {
	for _, l := range limits {
		if l.shape == s.name && l.player == p.name {
			return l
		}
	}
	return limit{}
}

// controls lets the players play, straight from an origin with CORS headers, the shapes that they cannot play. It requires that
// they fail there, too.
func controls(t *testing.T) {
	eachCell(t, func(s shape, p player) bool {
		return limitOf(s, p).reason != "" || !p.does(s.look())
	}, func(t *testing.T, s shape, p player) {
		o := startOrigin(t, withCORS(matrixFiles(t)))
		c := cell{s, true, false, func(playlist string) string { return o.URL + "/" + playlist }}
		l := limitOf(s, p)
		err := playsCell(t, p, c, patience(l))
		if l.reason != "" {
			require.Error(t, err, "it can after all: %s", l.reason)
		} else {
			// The test asks whether a player can play a shape without a proxy, not how often: Chromium's own player sometimes
			// stops at the end.
			for range 2 {
				if err != nil {
					err = playsCell(t, p, c, patience(l))
				}
			}
			require.NoError(t, err)
		}
		for _, r := range o.seen() {
			require.False(t, !p.does(s.look()) && s.extraRequest(r), "it can after all: it asks for %s", r.URL)
		}
	})
}

// patience is how long a player may take. It is short where the player is known to fail.
func patience(l limit) time.Duration {
	if l.plays {
		return 8 * time.Second
	}
	return 90 * time.Second
}

// extraRequest reports whether only a player that supports the shape would send this request.
func (s shape) extraRequest(r *http.Request) bool {
	switch s.look() {
	case "subtitles":
		return r.URL.Path == "/subs/text/seg000.vtt"
	case "iframes":
		return r.URL.Path == "/iframes/all.mp4"
	case "thumbnails":
		return strings.HasPrefix(r.URL.Path, "/thumbs/") && r.URL.Path != "/thumbs/master.m3u8"
	case "breaks":
		return r.URL.Path == "/breaks/assets.json" || r.URL.Path == "/breaks/ts.m3u8"
	}
	return r.URL.Query().Has("_HLS_part")
}

func withCORS(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Headers", "Range")
		w.Header().Set("Access-Control-Expose-Headers", "*")
		if r.Method != http.MethodOptions {
			h.ServeHTTP(w, r)
		}
	})
}

// lowLatency passes on what the demo serves below /hls/, without its CORS headers.
func lowLatency(t *testing.T) http.Handler {
	demo, err := url.Parse(startExample(t, "demo", "-ll").URL)
	require.NoError(t, err)
	return &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(demo)
			r.Out.Header.Del("Origin")
		},
		ModifyResponse: func(r *http.Response) error {
			for name := range r.Header {
				if len(name) > 15 && name[:15] == "Access-Control-" {
					r.Header.Del(name)
				}
			}
			return nil
		},
	}
}
