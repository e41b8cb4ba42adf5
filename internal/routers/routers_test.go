package routers

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"
	"github.com/stretchr/testify/require"
)

// routers mount a chain below /live/. The line that does is in docs/routers.md, too.
var routers = map[string]struct {
	line  string
	mount func(live http.Handler) http.Handler
}{
	"net/http": {`mux.Handle("/live/", `, func(live http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/live/", live)
		return mux
	}},
	"chi": {`router.Handle("/live/*", live(`, func(live http.Handler) http.Handler {
		router := chi.NewRouter()
		router.Use(chimiddleware.Logger, chimiddleware.Recoverer)
		router.Handle("/live/*", live)
		return router
	}},
	"gin": {`router.Any("/live/*path", gin.WrapH(live(`, func(live http.Handler) http.Handler {
		gin.SetMode(gin.TestMode)
		gin.DefaultWriter, gin.DefaultErrorWriter = io.Discard, io.Discard
		router := gin.New()
		router.Use(gin.Logger(), gin.Recovery())
		router.Any("/live/*path", gin.WrapH(live))
		return router
	}},
	"echo": {`router.Any("/live/*", echo.WrapHandler(live(`, func(live http.Handler) http.Handler {
		router := echo.New()
		router.Use(echomiddleware.Recover())
		router.Any("/live/*", echo.WrapHandler(live))
		return router
	}},
}

var segment = bytes.Repeat([]byte("0123456789abcdef"), 1<<16)

// newOrigin has a playlist whose one segment has a name that must stay as it is escaped, and one segment that breaks off.
func newOrigin(t *testing.T) *httptest.Server {
	t.Helper()
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.EscapedPath() {
		case "/a/index.m3u8":
			w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
			io.WriteString(w, "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nsegment%20one%2F1.ts\n#EXT-X-ENDLIST\n")
		case "/a/segment%20one%2F1.ts":
			w.Header().Set("Content-Type", "video/mp2t")
			w.Write(segment)
		case "/a/broken.ts":
			w.Header().Set("Content-Type", "video/mp2t")
			w.Header().Set("Content-Length", fmt.Sprint(len(segment)))
			w.Write(segment[:len(segment)/2])
			panic(http.ErrAbortHandler)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(o.Close)
	return o
}

func chain(t *testing.T, upstream string) (http.Handler, *sign.Signer) {
	t.Helper()
	at, err := url.Parse(upstream)
	require.NoError(t, err)
	tree, err := rewrite.Prefix("/live/", upstream+"/")
	require.NoError(t, err)
	guard, err := origin.NewGuard(origin.GuardConfig{Hosts: []string{at.Hostname()}, Ports: []string{at.Port()}, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	require.NoError(t, err)
	cors, err := corsmw.New(corsmw.Config{Origins: []string{"*"}})
	require.NoError(t, err)
	signer, err := sign.New(sign.Config{Keys: []sign.Key{{ID: "1", Secret: bytes.Repeat([]byte("k"), 32)}}, Scope: sign.Directory})
	require.NoError(t, err)
	playlists := &rewrite.Rewriter{Map: tree, Sign: signer}
	return cors.Handler(signer.Handler(rangeserve.Handler(&origin.Proxy{
		Upstream:       tree.Upstream,
		Transport:      &cache.Transport{Base: guard.Transport(), Store: cache.NewMemory(64 << 20)},
		ModifyResponse: playlists.ModifyResponse,
		OnFailure:      func(*http.Request, error) {},
	}))), signer
}

func ask(t *testing.T, method, url string, header ...string) (*http.Response, []byte, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func TestEveryRouterPlays(t *testing.T) {
	o := newOrigin(t)
	for name, router := range routers {
		t.Run(name, func(t *testing.T) {
			live, signer := chain(t, o.URL)
			server := httptest.NewServer(router.mount(live))
			defer server.Close()
			link := func(path string) string {
				signed, err := signer.URL(path)
				require.NoError(t, err)
				return server.URL + signed
			}
			page := []string{"Origin", "https://www.example.com"}

			resp, _, _ := ask(t, "OPTIONS", server.URL+"/live/a/index.m3u8", append(page, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "range")...)
			require.Equal(t, http.StatusNoContent, resp.StatusCode, "a preflight")
			require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"))
			resp, _, _ = ask(t, "GET", server.URL+"/live/a/index.m3u8", page...)
			require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
			require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"), "the page sees why")

			resp, body, err := ask(t, "GET", link("/live/a/index.m3u8"), page...)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			child := strings.Split(string(body), "\n")[3]
			require.Contains(t, child, "/live/a/segment%20one%2F1.ts?")
			resp, body, err = ask(t, "GET", server.URL+child, page...)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			require.Equal(t, segment, body)
			resp, body, err = ask(t, "GET", server.URL+child, "Range", "bytes=100-199")
			require.NoError(t, err)
			require.Equal(t, http.StatusPartialContent, resp.StatusCode)
			require.Equal(t, segment[100:200], body)
			resp, body, err = ask(t, "HEAD", server.URL+child)
			require.NoError(t, err)
			require.Equal(t, int64(len(segment)), resp.ContentLength)
			require.Empty(t, body)

			_, _, err = ask(t, "GET", link("/live/a/broken.ts"))
			require.Error(t, err, "a body that broke off must not end as if it were whole")
		})
	}
}

// The routers above are mounted as the page says.
func TestThePageMountsThemAlike(t *testing.T) {
	page, err := os.ReadFile("../../docs/routers.md")
	require.NoError(t, err)
	for name, router := range routers {
		require.Contains(t, string(page), router.line, name)
	}
}

// ffmpeg plays a film through each.
func TestEveryRouterPlaysInFFmpeg(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		if os.Getenv("HLSPROXY_REQUIRE_TOOLS") == "1" {
			t.Fatal("ffmpeg is not installed")
		}
		t.Skip("ffmpeg is not installed")
	}
	dir := t.TempDir()
	said, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=160x90:r=25:d=4", "-c:v", "mpeg2video", "-f", "hls",
		"-hls_time", "2", "-hls_list_size", "0", dir+"/index.m3u8").CombinedOutput()
	require.NoError(t, err, "%s", said)
	o := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer o.Close()
	for name, router := range routers {
		t.Run(name, func(t *testing.T) {
			live, signer := chain(t, o.URL)
			server := httptest.NewServer(router.mount(live))
			defer server.Close()
			link, err := signer.URL("/live/index.m3u8")
			require.NoError(t, err)
			cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-xerror", "-nostdin", "-i", server.URL+link, "-f", "framecrc", "-")
			cmd.Env = append(os.Environ(), "no_proxy=127.0.0.1", "http_proxy=")
			out, err := cmd.Output()
			require.NoError(t, err)
			require.Equal(t, 100, bytes.Count(out, []byte("\n0,")), "pictures")
		})
	}
}
