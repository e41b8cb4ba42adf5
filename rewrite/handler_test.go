package rewrite_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

func answer(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func tokens(_ context.Context, u []byte) ([]byte, error) { return append(u, "?t=1"...), nil }

func TestHandlerRewritesLocalPlaylists(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x.m3u8"), []byte(small), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "seg1.ts"), []byte("0123456789"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("#EXT notes"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "list.txt"), []byte(small), 0o600))
	rw := &rewrite.Rewriter{Sign: rewrite.SignFunc(tokens)}
	h := http.StripPrefix("/vod/a", rw.Handler(http.FileServer(http.Dir(dir))))

	const want = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n/vod/a/seg1.ts?t=1\n"
	w := answer(h, "GET", "/vod/a/x.m3u8", "Range", "bytes=0-", "If-None-Match", "*", "If-Modified-Since", "Fri, 20 Nov 2099 00:00:00 GMT")
	require.Equal(t, 200, w.Code)
	require.Equal(t, want, w.Body.String())
	require.Equal(t, "application/vnd.apple.mpegurl", w.Header().Get("Content-Type"))
	require.Equal(t, "private", w.Header().Get("Cache-Control"))
	require.Empty(t, w.Header().Get("Last-Modified"))
	require.Empty(t, w.Header().Get("Accept-Ranges"))

	got := w.Header()
	w = answer(h, "HEAD", "/vod/a/x.m3u8")
	require.Equal(t, got, w.Header())
	require.Equal(t, want, answer(h, "GET", "/vod/a/list.txt").Body.String())

	w = answer(h, "GET", "/vod/a/seg1.ts", "Range", "bytes=2-3")
	require.Equal(t, 206, w.Code)
	require.Equal(t, "23", w.Body.String())
	require.Equal(t, "#EXT notes", answer(h, "GET", "/vod/a/notes.txt").Body.String())
	require.Equal(t, 404, answer(h, "GET", "/vod/a/no.m3u8").Code)
}

// RFC 9112 section 3.2.2: a server accepts a whole URL in place of a path.
func TestHandlerTakesAWholeURLForItsPath(t *testing.T) {
	h := http.StripPrefix("/vod", (&rewrite.Rewriter{}).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, small) })))
	for _, target := range []string{"/vod/a/x.m3u8", "http://media.example/vod/a/x.m3u8?q=/", "https://media.example:8443/vod/a/x.m3u8"} {
		require.Contains(t, answer(h, "GET", target).Body.String(), "\n/vod/a/seg1.ts\n", target)
	}
}

func TestHandlerLeavesUpgradesAlone(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/x", nil)
	r.Header.Set("Upgrade", "websocket")
	(&rewrite.Rewriter{}).Handler(http.HandlerFunc(func(inner http.ResponseWriter, r *http.Request) { require.Same(t, w, inner) })).ServeHTTP(w, r)
}

func TestHandlerResolvesAgainstPublic(t *testing.T) {
	m, err := rewrite.Prefix("/cdn/", "https://cdn.example/")
	require.NoError(t, err)
	rw := &rewrite.Rewriter{Map: m, Public: "https://me.example"}
	h := rw.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "audio/mpegurl")
		io.WriteString(w, "#EXTM3U\n#EXT-X-DEFINE:QUERYPARAM=\"q\"\n{$q}.ts\nhttps://cdn.example/x.ts\n")
	}))
	require.Equal(t, "#EXTM3U\n#EXT-X-DEFINE:QUERYPARAM=\"q\"\nhttps://me.example/a/v.ts\n/cdn/x.ts\n", answer(h, "GET", "/a/b?q=v").Body.String())
}

func TestHandlerHoldsBackNoMoreThanItMust(t *testing.T) {
	for name, c := range map[string]struct {
		mediaType, target string
		writes            []string
		want              []string // what has arrived after each write and a flush
	}{
		"media":           {"video/mp2t", "/x", []string{"GEXT", "b"}, []string{"GEXT", "GEXTb"}},
		"labelled media":  {"video/mp2t", "/x", []string{"#EXTM3U", "b"}, []string{"", ""}},
		"unknown":         {"application/octet-stream", "/x", []string{"#E", "XT-", "b"}, []string{"", "#EXT-", "#EXT-b"}},
		"playlist":        {"text/plain", "/x", []string{"#EX", "TM3U\n", "a"}, []string{"", "", ""}},
		"media extension": {"", "/x.ts", []string{"#EXTM3U", "b"}, []string{"#EXTM3U", "#EXTM3Ub"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			h := (&rewrite.Rewriter{}).Handler(http.HandlerFunc(func(inner http.ResponseWriter, r *http.Request) {
				if c.mediaType != "" {
					inner.Header().Set("Content-Type", c.mediaType)
				}
				for i, text := range c.writes {
					n, err := io.WriteString(inner, text)
					require.NoError(t, err)
					require.Equal(t, len(text), n)
					if i == 0 {
						inner.(http.Flusher).Flush() // the old way, which some handlers insist on
					} else {
						require.NoError(t, http.NewResponseController(inner).Flush())
					}
					require.Equal(t, c.want[i], w.Body.String())
				}
			}))
			h.ServeHTTP(w, httptest.NewRequest("GET", c.target, nil))
		})
	}
}

func TestHandlerAnswers(t *testing.T) {
	refused := errors.New("x")
	for name, c := range map[string]struct {
		rw     *rewrite.Rewriter
		target string
		next   http.HandlerFunc
		status int
		body   string
	}{
		"nothing written": {&rewrite.Rewriter{}, "/x", func(http.ResponseWriter, *http.Request) {}, 200, ""},
		"no playlist":     {&rewrite.Rewriter{}, "/x.m3u8", func(http.ResponseWriter, *http.Request) {}, 502, "Bad Gateway\n"},
		"page":            {&rewrite.Rewriter{}, "/x.m3u8", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }, 502, "Bad Gateway\n"},
		"too large": {&rewrite.Rewriter{MaxSize: 8}, "/x.m3u8", func(w http.ResponseWriter, _ *http.Request) {
			_, err := io.WriteString(w, small)
			require.Error(t, err)
		}, 502, "Bad Gateway\n"},
		"too large, in pieces": {&rewrite.Rewriter{MaxSize: 8}, "/x", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "#EXTM3U\n")
			io.WriteString(w, "#")
		}, 502, "Bad Gateway\n"},
		"sign fails": {&rewrite.Rewriter{Sign: rewrite.SignFunc(func(context.Context, []byte) ([]byte, error) { return nil, refused })}, "/x.m3u8",
			func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, small) }, 502, "Bad Gateway\n"},
		"status": {&rewrite.Rewriter{}, "/x.m3u8", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			w.WriteHeader(410)
			io.WriteString(w, "gone")
		}, 410, "gone"},
		"short text": {&rewrite.Rewriter{}, "/x", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "#EXT") }, 200, "#EXT"},
	} {
		t.Run(name, func(t *testing.T) {
			var why error
			c.rw.OnFailure = func(r *http.Request, err error) { why = err }
			s := httptest.NewServer(c.rw.Handler(c.next))
			defer s.Close()
			resp, err := http.Get(s.URL + c.target)
			require.NoError(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, c.status, resp.StatusCode)
			require.Equal(t, c.body, string(body))
			require.Equal(t, c.status == 502, why != nil)
			if c.rw.Sign != nil {
				require.ErrorIs(t, why, refused)
			}
		})
	}
}

func TestHandlerLeavesOtherMethodsAlone(t *testing.T) {
	h := (&rewrite.Rewriter{}).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, small) }))
	require.Equal(t, small, answer(h, "POST", "/x.m3u8").Body.String())
}

// A panic of the handler inside must reach the server, so that a broken body does not end cleanly.
func TestHandlerLetsPanicsThrough(t *testing.T) {
	h := (&rewrite.Rewriter{}).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, small)
		panic(http.ErrAbortHandler)
	}))
	w := httptest.NewRecorder()
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { h.ServeHTTP(w, httptest.NewRequest("GET", "/x.m3u8", nil)) })
	require.Empty(t, w.Body.String())
}

func TestHandlerKeepsAPlaylistOfManyMegabytes(t *testing.T) {
	text := small + strings.Repeat("#", 5<<20) + "\nz.ts"
	h := (&rewrite.Rewriter{}).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, text) }))
	require.Equal(t, strings.NewReplacer("seg1.ts", "/seg1.ts", "z.ts", "/z.ts").Replace(text), answer(h, "GET", "/x.m3u8").Body.String())
}

func TestHandlerLogsWhatFails(t *testing.T) {
	var text bytes.Buffer
	log.SetOutput(&text)
	defer log.SetOutput(os.Stderr)
	h := (&rewrite.Rewriter{}).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<p>Log in") }))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/x.m3u8?token=secret", nil))
	require.Contains(t, text.String(), `rewrite: GET "/x.m3u8": rewrite: response is no playlist: it begins with "<p>Log in"`)
	require.NotContains(t, text.String(), "secret")
}
