package e2e

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// Controls show that the clients can be trusted: they play what is right, and refuse what must not work.

func TestControlMediaPlaysFromItsOrigin(t *testing.T) {
	o := newOrigin(t, media(t))
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			ffmpegPlays(t, o.URL+"/"+s.playlist)
			require.Equal(t, frames, packets(t, o.URL+"/"+s.playlist))
			require.Positive(t, o.asked("/"+s.asked))
		})
	}
}

func TestControlBrowserPlaysWithCORSHeaders(t *testing.T) {
	files := folder(media(t))
	o := startOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		switch r.URL.Path {
		case "/page.m3u8":
			io.WriteString(w, "<!doctype html><title>Not what you came for</title>")
		case "/refused.m3u8":
			w.WriteHeader(http.StatusForbidden)
		default:
			files.ServeHTTP(w, r)
		}
	}))
	t.Run("without credentials", func(t *testing.T) { play(t, o.URL+"/ts/index.m3u8", false).shows(3) })
	t.Run("with credentials", func(t *testing.T) { require.Zero(t, play(t, o.URL+"/ts/index.m3u8", true).fails().Code) })
	t.Run("refused", func(t *testing.T) { require.Equal(t, 403, play(t, o.URL+"/refused.m3u8", false).fails().Code) })
	t.Run("page for a playlist", func(t *testing.T) {
		require.Equal(t, "manifestParsingError", play(t, o.URL+"/page.m3u8", false).fails().Details)
	})
}

func TestControlBrowserNeedsTheProxy(t *testing.T) {
	o := newOrigin(t, media(t))
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			e := play(t, o.URL+"/"+s.playlist, false).fails()
			require.Equal(t, "manifestLoadError", e.Details)
			require.Zero(t, e.Code, "the browser hides the status of an answer without CORS headers")
		})
	}
	require.Positive(t, o.asked("/ts/index.m3u8"), "it was answered all the same")
}
