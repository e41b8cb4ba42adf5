package rangeserve_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

var modified = time.Date(2024, 2, 29, 12, 30, 45, 0, time.UTC)

// bodyOf returns n bytes that differ from place to place.
func bodyOf(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// A target is one way of serving a body.
type target struct {
	name, url string
	cuts      bool // out of a stream: parts that do not ascend come whole
}

// targets serves the same body in all ways of this package.
func targets(t *testing.T, body []byte) []target {
	t.Helper()
	content := rangeserve.Content{
		ReaderAt: bytes.NewReader(body), Size: int64(len(body)), Type: "video/mp4", ETag: `"v1"`, ModTime: modified,
	}
	serve := func(c rangeserve.Content) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { rangeserve.Serve(w, r, c) })
	}
	reader, text, file := content, content, content
	reader.ReaderAt = plainReader{content.ReaderAt}
	text.ReaderAt = strings.NewReader(string(body))
	dir, name := t.TempDir(), "film.mp4"
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), body, 0o600))
	require.NoError(t, os.Chtimes(filepath.Join(dir, name), modified, modified))
	file.ReaderAt = openAt(t, filepath.Join(dir, name))
	files := settled(&rangeserve.Files{Root: openRoot(t, dir)})
	list := []target{
		{name: "Serve bytes", url: start(t, serve(content))},
		{name: "Serve string", url: start(t, serve(text))},
		{name: "Serve reader", url: start(t, serve(reader))},
		{name: "Serve file", url: start(t, serve(file))},
		{name: "Handler Serve", url: start(t, rangeserve.Handler(serve(content)))},
		{name: "Files", url: start(t, files) + "/" + name},
		{name: "Handler Files", url: start(t, rangeserve.Handler(files)) + "/" + name},
	}
	for _, step := range []int{len(body) + 1, 7, 1} {
		h := rangeserve.Handler(rangeless(body, step, `"v1"`))
		list = append(list, target{name: fmt.Sprint("Handler, writes of ", step), url: start(t, h), cuts: true})
	}
	copied := rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		describe(w.Header(), len(body), `"v1"`)
		_, _ = io.Copy(w, openFile(t, filepath.Join(dir, name)))
	}))
	return append(list, target{name: "Handler io.Copy", url: start(t, copied), cuts: true})
}

// settled makes f treat its files as unchanged for a long time.
func settled(f *rangeserve.Files) *rangeserve.Files { return f.Later(time.Hour) }

// rangeless is a handler that knows neither ranges nor preconditions.
func rangeless(body []byte, step int, etag string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		describe(w.Header(), len(body), etag)
		for rest := body; len(rest) > 0; rest = rest[min(step, len(rest)):] {
			if _, err := w.Write(rest[:min(step, len(rest))]); err != nil {
				panic(http.ErrAbortHandler) // as a proxy does
			}
		}
	})
}

func describe(h http.Header, length int, etag string) {
	h.Set("Content-Type", "video/mp4")
	h.Set("Content-Length", strconv.Itoa(length))
	h.Set("Last-Modified", modified.Format(http.TimeFormat))
	h.Set("Etag", etag)
}

type plainReader struct{ io.ReaderAt }

func start(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = nil
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

func openRoot(t testing.TB, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	t.Cleanup(func() { root.Close() })
	return root
}

func openAt(t testing.TB, name string) *os.File {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// openFile is openAt for the goroutine of a handler.
func openFile(t testing.TB, name string) *os.File {
	f, err := os.Open(name)
	if err != nil {
		t.Error(err)
		panic(http.ErrAbortHandler)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// An answer is a response with its body read.
type answer struct {
	*http.Response
	body []byte
	err  error // of reading the body
}

// ask sends a request with header lines "Name: value".
func ask(t testing.TB, method, url string, lines ...string) answer {
	t.Helper()
	return askEncoded(t, method, url, "identity", lines...)
}

// askEncoded is ask with an Accept-Encoding.
func askEncoded(t testing.TB, method, url, accept string, lines ...string) answer {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	require.NoError(t, err)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		req.Header[http.CanonicalHeaderKey(name)] = append(req.Header[http.CanonicalHeaderKey(name)], value)
	}
	req.Header.Set("Accept-Encoding", accept)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp, body, err}
}

// requireWhole checks a 200.
func requireWhole(t *testing.T, a answer, body []byte) {
	t.Helper()
	require.NoError(t, a.err)
	require.Equal(t, 200, a.StatusCode)
	require.True(t, bytes.Equal(body, a.body), "%d bytes", len(a.body))
	require.Equal(t, int64(len(body)), a.ContentLength)
	require.Empty(t, a.Header.Get("Content-Range"))
	require.Equal(t, []string{"bytes"}, a.Header["Accept-Ranges"])
	requireMetadata(t, a)
}

func requireMetadata(t *testing.T, a answer) {
	t.Helper()
	require.NotEmpty(t, a.Header.Get("Etag"))
	require.Equal(t, modified.Format(http.TimeFormat), a.Header.Get("Last-Modified"))
}

// requireRefused checks a 416.
func requireRefused(t *testing.T, a answer, size int) {
	t.Helper()
	require.NoError(t, a.err)
	require.Equal(t, 416, a.StatusCode)
	require.Equal(t, fmt.Sprintf("bytes */%d", size), a.Header.Get("Content-Range"))
	require.Empty(t, a.body)
}

// requirePartial checks a 206 of one range, or of several.
func requirePartial(t *testing.T, a answer, want string, body []byte) {
	t.Helper()
	require.NoError(t, a.err)
	require.Equal(t, 206, a.StatusCode)
	require.Equal(t, int64(len(a.body)), a.ContentLength)
	requireMetadata(t, a)
	kind, params, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	require.NoError(t, err)
	if !strings.Contains(want, ",") {
		require.Equal(t, "video/mp4", kind)
		requirePart(t, want, body, a.Header.Get("Content-Range"), a.body)
		return
	}
	require.Equal(t, "multipart/byteranges", kind)
	require.Empty(t, a.Header.Get("Content-Range"))
	parts := multipart.NewReader(bytes.NewReader(a.body), params["boundary"])
	for _, w := range strings.Split(want, ",") {
		part, err := parts.NextRawPart()
		require.NoError(t, err)
		require.Equal(t, "video/mp4", part.Header.Get("Content-Type"))
		got, err := io.ReadAll(part)
		require.NoError(t, err)
		requirePart(t, w, body, part.Header.Get("Content-Range"), got)
	}
	_, err = parts.NextRawPart()
	require.ErrorIs(t, err, io.EOF)
}

func requirePart(t *testing.T, want string, body []byte, contentRange string, got []byte) {
	t.Helper()
	var first, last int
	_, err := fmt.Sscanf(want, "%d-%d", &first, &last)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("bytes %s/%d", want, len(body)), contentRange)
	require.True(t, bytes.Equal(body[first:last+1], got))
}
