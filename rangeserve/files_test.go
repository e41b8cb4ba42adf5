package rangeserve_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// folder makes a folder of files, each with its own name as its content. A secret file is beside the folder.
func folder(t testing.TB, names ...string) (dir string) {
	t.Helper()
	above := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(above, "secret.mp4"), []byte("secret"), 0o600))
	dir = filepath.Join(above, "root")
	require.NoError(t, os.Mkdir(dir, 0o700))
	for _, name := range names {
		file := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(name), 0o600))
	}
	return dir
}

// raw sends a request line unchanged: clients clean paths before they send them.
func raw(t *testing.T, server, target string) *http.Response {
	t.Helper()
	u, err := url.Parse(server)
	require.NoError(t, err)
	conn, err := net.Dial("tcp", u.Host)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", target)
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	return resp
}

func TestFilesServesWhatLiesBelowTheRoot(t *testing.T) {
	names := []string{"a.mp4", "dir/sub/b.ts", "ü ber.mp4", "100%.mp4", "a+b;c,d.mp4", "q?x=1#y.mp4", "a..b/c..mp4", "CON.mp4"}
	dir := folder(t, names...)
	require.NoError(t, os.Symlink("a.mp4", filepath.Join(dir, "link.mp4")))
	require.NoError(t, os.Symlink("dir/sub", filepath.Join(dir, "linked")))
	server := start(t, settled(&rangeserve.Files{Root: openRoot(t, dir)}))
	for _, name := range names {
		a := ask(t, "GET", server+"/"+(&url.URL{Path: name}).EscapedPath())
		require.Equal(t, 200, a.StatusCode, name)
		require.Equal(t, name, string(a.body))
		require.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"))
		require.Empty(t, a.Header["Content-Disposition"])
	}
	require.Equal(t, "a.mp4", string(ask(t, "GET", server+"/link.mp4").body))
	require.Equal(t, "dir/sub/b.ts", string(ask(t, "GET", server+"/linked/b.ts").body))
	mounted := start(t, http.StripPrefix("/vod/", settled(&rangeserve.Files{Root: openRoot(t, dir)})))
	require.Equal(t, "a.mp4", string(ask(t, "GET", mounted+"/vod/a.mp4").body))
}

func TestFilesRefuses(t *testing.T) {
	dir := folder(t, "a.mp4", "dir/b.mp4", ".hidden.mp4", ".git/config", "dir/.key", `back\slash.mp4`)
	for link, to := range map[string]string{
		"out.mp4": "../secret.mp4", "abs.mp4": filepath.Join(filepath.Dir(dir), "secret.mp4"), "up": "..", "dangling.mp4": "nowhere",
		"loop.mp4": "loop.mp4", "zero.mp4": "/dev/zero",
	} {
		require.NoError(t, os.Symlink(to, filepath.Join(dir, link)))
	}
	server := start(t, settled(&rangeserve.Files{Root: openRoot(t, dir)}))
	for _, target := range []string{
		"/", "/dir", "/dir/", "/dir/.", "/nothing.mp4", "/a.mp4/", "/a.mp4/x", "//a.mp4", "/dir//b.mp4", "/./a.mp4", "/dir/../a.mp4",
		"/../secret.mp4", "/../../../../../../etc/passwd", "/dir/../../secret.mp4", "/..", "/...", "/%2e%2e/secret.mp4",
		"/%2e%2e%2fsecret.mp4", "/..%2fsecret.mp4", "/.%2e/secret.mp4", "/dir/%2e%2e/%2e%2e/secret.mp4", "/%252e%252e/secret.mp4",
		"/..%5csecret.mp4", "/%5c..%5csecret.mp4", "/dir%5cb.mp4", "/back%5Cslash.mp4", "/dir%2Fb.mp4", "/dir%2fb.mp4", "/a.mp4%00",
		"/%00a.mp4", "/a.mp4%00.ts", "/%2fetc/passwd", "/%2Fsecret.mp4", "/C:/a.mp4", "/c:a.mp4", "/a.mp4::$DATA", "/.hidden.mp4",
		"/%2ehidden.mp4", "/.git/config", "/dir/.key", "/out.mp4", "/abs.mp4", "/up/secret.mp4", "/up/root/a.mp4", "/dangling.mp4",
		"/loop.mp4", "/zero.mp4", "/" + strings.Repeat("a", 5000) + ".mp4", "/\xff\xfe.mp4", "/..;/secret.mp4", "/%c0%ae%c0%ae/secret.mp4",
	} {
		resp := raw(t, server, target)
		require.Equal(t, 404, resp.StatusCode, target)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "Not Found\n", string(body), target)
		require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
	}
}

func TestFilesAnswersGetAndHeadAlone(t *testing.T) {
	server := start(t, settled(&rangeserve.Files{Root: openRoot(t, folder(t, "a.mp4"))}))
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"} {
		a := ask(t, method, server+"/a.mp4")
		require.Equal(t, 405, a.StatusCode)
		require.Equal(t, "GET, HEAD", a.Header.Get("Allow"))
	}
	require.Equal(t, int64(5), ask(t, "HEAD", server+"/a.mp4").ContentLength)
}

func TestFilesWithoutARoot(t *testing.T) {
	require.Equal(t, 500, serveTo(settled(&rangeserve.Files{}), "/a.mp4", "").Code)
}

func TestFilesOfAClosedRoot(t *testing.T) {
	root := openRoot(t, folder(t, "a.mp4"))
	require.NoError(t, root.Close())
	require.Equal(t, 404, serveTo(settled(&rangeserve.Files{Root: root}), "/a.mp4", "").Code)
}

// TestFilesTypes: players refuse a body of the wrong type, and the table of the host cannot be trusted.
func TestFilesTypes(t *testing.T) {
	types := map[string]string{
		"a.m3u8": "application/vnd.apple.mpegurl", "a.m3u": "application/vnd.apple.mpegurl", "a.ts": "video/mp2t", "a.m2ts": "video/mp2t",
		"a.m4s": "video/mp4", "a.mp4": "video/mp4", "a.m4v": "video/mp4", "a.cmfv": "video/mp4", "a.cmfa": "audio/mp4", "a.m4a": "audio/mp4",
		"a.cmft": "application/mp4", "a.mov": "video/quicktime", "a.mkv": "video/x-matroska", "a.webm": "video/webm", "a.flv": "video/x-flv",
		"a.aac": "audio/aac", "a.ac3": "audio/ac3", "a.ec3": "audio/eac3", "a.eac3": "audio/eac3", "a.mp3": "audio/mpeg", "a.flac": "audio/flac",
		"a.ogg": "audio/ogg", "a.opus": "audio/ogg", "a.ogv": "video/ogg", "a.wav": "audio/wav", "a.vtt": "text/vtt", "a.webvtt": "text/vtt",
		"a.ttml": "application/ttml+xml", "a.dfxp": "application/ttml+xml", "a.srt": "application/x-subrip", "a.key": "application/octet-stream",
		"a.json": "application/json", "a.jpg": "image/jpeg", "a.jpeg": "image/jpeg", "a.png": "image/png", "a.webp": "image/webp",
		"a.gif": "image/gif", "a.avif": "image/avif", "a.svg": "image/svg+xml", "a.mpd": "application/dash+xml", "a.avi": "video/x-msvideo",
		"a.mpg": "video/mpeg", "a.3gp": "video/3gpp", "a.3g2": "video/3gpp2", "a.wmv": "video/x-ms-wmv", "a.wma": "audio/x-ms-wma",
		"a.ac4": "audio/ac4", "a.weba": "audio/webm", "a.mka": "audio/x-matroska", "a.aiff": "audio/aiff", "a.ass": "text/x-ssa",
		"a.html": "text/html; charset=utf-8", "a.js": "text/javascript; charset=utf-8", "a.css": "text/css; charset=utf-8",
		"a.txt": "text/plain; charset=utf-8", "a.xml": "application/xml", "a.wasm": "application/wasm", "a.ico": "image/vnd.microsoft.icon",
		"a.woff2": "font/woff2", "a.bin": "application/octet-stream", "noext": "application/octet-stream", "a.MP4": "video/mp4",
	}
	var names []string
	for name := range types {
		names = append(names, name)
	}
	h := settled(&rangeserve.Files{Root: openRoot(t, folder(t, names...))})
	for name, want := range types {
		w := serveTo(h, "/"+name, "")
		require.Equal(t, 200, w.Code, name)
		require.Equal(t, want, w.Header().Get("Content-Type"), name)
		require.Empty(t, w.Header().Get("Content-Encoding"))
	}
}

func TestFilesServesPlaylistsWhole(t *testing.T) {
	h := settled(&rangeserve.Files{Root: openRoot(t, folder(t, "live.m3u8"))})
	w := serveTo(h, "/live.m3u8", "bytes=0-1")
	require.Equal(t, 200, w.Code)
	require.Equal(t, "live.m3u8", w.Body.String())
}

func TestFilesDownload(t *testing.T) {
	names := map[string]string{
		"a.mp4":            `attachment; filename="a.mp4"`,
		"dir/my film.mp4":  `attachment; filename="my film.mp4"`,
		`q"uote.mp4`:       `attachment; filename="q_uote.mp4"; filename*=UTF-8''q%22uote.mp4`,
		"naïve €.mp4":      `attachment; filename="na_ve _.mp4"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.mp4`,
		"50%25.mp4":        `attachment; filename="50_25.mp4"; filename*=UTF-8''50%2525.mp4`,
		"line\r\nbreak.ts": `attachment; filename="line__break.ts"; filename*=UTF-8''line%0D%0Abreak.ts`,
		"a';b=c.mp4":       `attachment; filename="a';b=c.mp4"`,
	}
	var list []string
	for name := range names {
		list = append(list, name)
	}
	var asked []string
	h := settled(&rangeserve.Files{Root: openRoot(t, folder(t, list...)), Download: func(name string) bool {
		asked = append(asked, name)
		return !strings.HasSuffix(name, ".ts") || strings.Contains(name, "\r")
	}})
	for name, want := range names {
		w := serveTo(h, "/"+(&url.URL{Path: name}).EscapedPath(), "bytes=0-0")
		require.Equal(t, 206, w.Code)
		require.Equal(t, want, w.Header().Get("Content-Disposition"))
		require.Equal(t, name, asked[len(asked)-1])
	}
	require.Equal(t, 404, serveTo(h, "/nothing.mp4", "").Code)
	require.Len(t, asked, len(names))
}

// TestFilesETagChangesWithTheFile, also within one second and with the same size.
func TestFilesETagChangesWithTheFile(t *testing.T) {
	dir := folder(t, "a.mp4", "b.mp4")
	h := settled(&rangeserve.Files{Root: openRoot(t, dir)})
	tag := func(name string) string {
		w := serveTo(h, "/"+name, "")
		require.Equal(t, 200, w.Code)
		require.Regexp(t, `^"[A-Za-z0-9_-]{16}"$`, w.Header().Get("Etag"))
		return w.Header().Get("Etag")
	}
	first := tag("a.mp4")
	require.Equal(t, first, tag("a.mp4"))
	require.NotEqual(t, first, tag("b.mp4"))
	name := filepath.Join(dir, "a.mp4")
	seen := map[string]bool{first: true}
	for i := range 5 {
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(name+".new", fmt.Appendf(nil, "new%02d", i), 0o600))
		require.NoError(t, os.Chtimes(name+".new", time.Time{}, info.ModTime().Truncate(time.Second).Add(time.Duration(i))))
		require.NoError(t, os.Rename(name+".new", name))
		require.False(t, seen[tag("a.mp4")])
		seen[tag("a.mp4")] = true
	}
}

// TestFilesIfRangeAfterAChange never joins two versions.
func TestFilesIfRangeAfterAChange(t *testing.T) {
	dir := folder(t, "a.mp4")
	server := start(t, settled(&rangeserve.Files{Root: openRoot(t, dir)})) + "/a.mp4"
	a := ask(t, "GET", server, "Range: bytes=0-1")
	require.Equal(t, 206, a.StatusCode)
	tag := "If-Range: " + a.Header.Get("Etag")
	require.Equal(t, 206, ask(t, "GET", server, "Range: bytes=2-", tag).StatusCode)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "new"), []byte("other"), 0o600))
	require.NoError(t, os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "a.mp4")))
	b := ask(t, "GET", server, "Range: bytes=2-", tag)
	require.Equal(t, 200, b.StatusCode)
	require.Equal(t, "other", string(b.body))
}

// slowWriter lets a test act between the first bytes of a body and the next.
type slowWriter struct {
	*httptest.ResponseRecorder
	then func()
}

func (w *slowWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseRecorder.Write(p)
	if w.then != nil {
		w.then()
		w.then = nil
	}
	return n, err
}

// TestFilesChangedWhileBeingSent: two versions are never mixed in an answer that looks whole.
func TestFilesChangedWhileBeingSent(t *testing.T) {
	const size = 400_000
	for _, c := range []struct {
		name   string
		change func(t *testing.T, file string)
		whole  bool
	}{
		{"replaced by renaming", func(t *testing.T, file string) {
			require.NoError(t, os.WriteFile(file+"2", make([]byte, size), 0o600))
			require.NoError(t, os.Rename(file+"2", file))
		}, true},
		{"removed", func(t *testing.T, file string) { require.NoError(t, os.Remove(file)) }, true},
		{"truncated", func(t *testing.T, file string) { require.NoError(t, os.Truncate(file, 200_000)) }, false},
		{"emptied", func(t *testing.T, file string) { require.NoError(t, os.Truncate(file, 0)) }, false},
		{"appended to", func(t *testing.T, file string) {
			f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = f.WriteString("more")
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}, false},
		{"rewritten in place", func(t *testing.T, file string) {
			require.NoError(t, os.WriteFile(file, make([]byte, size), 0o600))
			require.NoError(t, os.Chtimes(file, time.Time{}, time.Now().Add(-time.Hour)))
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := bodyOf(size)
			dir := t.TempDir()
			file := filepath.Join(dir, "a.mp4")
			require.NoError(t, os.WriteFile(file, body, 0o600))
			h := settled(&rangeserve.Files{Root: openRoot(t, dir)})
			w := &slowWriter{httptest.NewRecorder(), func() { c.change(t, file) }}
			do := func() { h.ServeHTTP(w, httptest.NewRequest("GET", "/a.mp4", nil)) }
			if c.whole {
				do()
				require.True(t, string(body) == w.Body.String())
				return
			}
			require.PanicsWithValue(t, http.ErrAbortHandler, do)
			require.Less(t, w.Body.Len(), size)
		})
	}
}
