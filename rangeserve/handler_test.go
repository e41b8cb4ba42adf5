package rangeserve_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// inner answers with the given header lines, and then with the body in writes of step bytes.
func inner(body []byte, step int, lines ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, line := range lines {
			name, value, _ := strings.Cut(line, ": ")
			w.Header().Add(name, value)
		}
		for ; len(body) > 0; body = body[min(step, len(body)):] {
			if _, err := w.Write(body[:min(step, len(body))]); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
		}
	})
}

func handled(body []byte, step int, lines ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rangeserve.Handler(inner(body, step, lines...)).ServeHTTP(w, r)
	})
}

// TestHandlerLeavesWhole: a body that must not be cut comes whole, with status 200.
func TestHandlerLeavesWhole(t *testing.T) {
	body := bodyOf(1000)
	for _, c := range []struct {
		name, path string
		lines      []string
	}{
		{"a playlist", "/", []string{"Content-Type: application/vnd.apple.mpegurl"}},
		{"a playlist of another type", "/x.mp4", []string{"Content-Type: audio/mpegurl; charset=utf-8"}},
		{"a playlist in capitals", "/", []string{"Content-Type: Application/X-MPEGURL"}},
		{"a playlist known by its name", "/a/live.m3u8", []string{"Content-Type: text/plain"}},
		{"a playlist without a type", "/a/live.M3U8", nil},
		{"an encoded body", "/", []string{"Content-Type: video/mp4", "Content-Encoding: gzip"}},
		{"a body that takes no ranges", "/", []string{"Content-Type: video/mp4", "Accept-Ranges: none"}},
		{"a 200 with a Content-Range", "/", []string{"Content-Type: video/mp4", "Content-Range: bytes 0-999/1000"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, length := range [][]string{nil, {"Content-Length: 1000"}} {
				url := start(t, handled(body, 300, append(c.lines, length...)...)) + c.path
				for _, header := range []string{"bytes=0-1", "bytes=0-", "bytes=2000-", "bytes=0-1,5-6"} {
					a := ask(t, "GET", url, "Range: "+header)
					require.NoError(t, a.err)
					require.Equal(t, 200, a.StatusCode)
					require.Equal(t, body, a.body)
					require.NotEqual(t, "bytes", a.Header.Get("Accept-Ranges"))
				}
			}
		})
	}
}

// TestHandlerCutsWhatIsNotEncoded: origins write things into Content-Encoding that are no content coding.
func TestHandlerCutsWhatIsNotEncoded(t *testing.T) {
	body := bodyOf(1000)
	for _, none := range []string{"", "identity", "aws-chunked", "utf-8", "none"} {
		a := ask(t, "GET", start(t, handled(body, 300, "Content-Type: video/mp4", "Content-Length: 1000", "Content-Encoding: "+none)), "Range: bytes=5-9")
		require.NoError(t, a.err)
		require.Equal(t, 206, a.StatusCode, none)
		require.Equal(t, body[5:10], a.body)
	}
}

// TestHandlerPasses: an answer other than a 200 is passed on.
func TestHandlerPasses(t *testing.T) {
	for _, c := range []struct {
		status int
		lines  []string
	}{
		{206, []string{"Content-Range: bytes 4-6/1000", "Content-Type: video/mp4"}},
		{416, []string{"Content-Range: bytes */7"}},
		{404, []string{"Etag: \"e\""}},
		{403, nil},
		{503, []string{"Retry-After: 3"}},
		{302, []string{"Location: /x"}},
		{201, nil},
	} {
		h := rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for _, line := range c.lines {
				name, value, _ := strings.Cut(line, ": ")
				w.Header().Set(name, value)
			}
			w.WriteHeader(c.status)
			_, err := io.WriteString(w, "abc")
			require.NoError(t, err)
		}))
		w := serveTo(h, "/film.mp4", "bytes=0-1")
		require.Equal(t, c.status, w.Code)
		require.Equal(t, "abc", w.Body.String())
		require.Empty(t, w.Header()["Accept-Ranges"])
		for _, line := range c.lines {
			name, value, _ := strings.Cut(line, ": ")
			require.Equal(t, value, w.Header().Get(name))
		}
	}
}

func serveTo(h http.Handler, path, rangeHeader string) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", path, nil)
	if rangeHeader != "" {
		r.Header.Set("Range", rangeHeader)
	}
	h.ServeHTTP(w, r)
	return w
}

// TestHandlerKeepsWhatDescribesTheWhole: RFC 9110 section 15.3.7.
func TestHandlerKeepsWhatDescribesTheWhole(t *testing.T) {
	w := serveTo(handled(bodyOf(1000), 1000, "Content-Type: video/mp2t", "Content-Length: 1000", "Etag: W/\"w\"", "Vary: Origin",
		"Cache-Control: max-age=60", "Expires: 0", "Repr-Digest: x", "Content-Digest: y", "Content-Md5: z", "X-Own: a"), "/", "bytes=10-19")
	require.Equal(t, 206, w.Code)
	for name, value := range map[string]string{
		"Content-Type": "video/mp2t", "Content-Length": "10", "Content-Range": "bytes 10-19/1000", "Accept-Ranges": "bytes",
		"Etag": `W/"w"`, "Vary": "Origin", "Cache-Control": "max-age=60", "Expires": "0", "Repr-Digest": "x", "X-Own": "a",
		"Content-Digest": "", "Content-Md5": "",
	} {
		require.Equal(t, value, w.Header().Get(name), name)
	}
}

// TestHandlerDoesNotGuessATypeFromTheMiddle: net/http would sniff the first bytes of the part.
func TestHandlerDoesNotGuessATypeFromTheMiddle(t *testing.T) {
	html := append([]byte("\x1aE\xdf\xa3webm, and then <html>"), bodyOf(900)...)
	require.Equal(t, "video/mp2t", serveTo(handled(html, 900), "/seg.ts", "bytes=20-29").Header().Get("Content-Type"))
	require.Equal(t, "video/webm", serveTo(handled(html, 900), "/seg", "bytes=20-29").Header().Get("Content-Type"))
	require.Equal(t, "application/octet-stream", serveTo(handled(nil, 1), "/seg", "bytes=20-29").Header().Get("Content-Type"))
}

// TestHandlerOfUnknownLength: an unknown total is "*". It is never made up.
func TestHandlerOfUnknownLength(t *testing.T) {
	body := bodyOf(600_000)
	for _, c := range []struct {
		header       string
		size, status int
		contentRange string
		first, n     int
	}{
		{"bytes=0-1", 1000, 206, "bytes 0-1/*", 0, 2},
		{"bytes=100-199", 1000, 206, "bytes 100-199/*", 100, 100},
		{"bytes=0-999", 1000, 206, "bytes 0-999/*", 0, 1000},
		{"bytes=999-999", 1000, 206, "bytes 999-999/*", 999, 1},
		{"bytes=0-4,5-9", 1000, 206, "bytes 0-9/*", 0, 10},
		{"bytes=900-1100", 1000, 206, "bytes 900-999/1000", 900, 100},
		{"bytes=0-1000", 1000, 206, "bytes 0-999/1000", 0, 1000},
		{"bytes=1000-1001", 1000, 416, "bytes */1000", 0, 0},
		{"bytes=5000-5001", 1000, 416, "bytes */1000", 0, 0},
		{"bytes=0-1", 0, 200, "", 0, 0},
		{"bytes=0-", 1000, 200, "", 0, 1000},
		{"bytes=5-", 1000, 200, "", 0, 1000},
		{"bytes=-5", 1000, 200, "", 0, 1000},
		{"bytes=0-1,5-6", 1000, 200, "", 0, 1000},
		{"bytes=5-2", 1000, 200, "", 0, 1000},
		{"items=0-1", 1000, 200, "", 0, 1000},
		{"bytes=100-9007199254740991", 1000, 200, "", 0, 1000},
		{"bytes=0-9223372036854775807", 1000, 200, "", 0, 1000},
		{"bytes=0-262143", 600_000, 206, "bytes 0-262143/*", 0, 262144},
		{"bytes=0-262144", 600_000, 200, "", 0, 600_000},
		{"bytes=1-500000", 600_000, 206, "bytes 1-500000/*", 1, 500_000},
		{"bytes=1-599999", 600_000, 206, "bytes 1-599999/*", 1, 599_999},
	} {
		for _, step := range []int{1 << 20, 4096, 100} {
			w := serveTo(handled(body[:c.size], step, "Content-Type: video/mp4", "Etag: \"a\""), "/", c.header)
			require.Equal(t, c.status, w.Code, "%s, writes of %d", c.header, step)
			require.Equal(t, c.contentRange, w.Header().Get("Content-Range"), c.header)
			require.True(t, string(body[c.first:c.first+c.n]) == w.Body.String(), c.header)
		}
	}
}

// TestHandlerOfUnknownLengthEvaluatesConditions as for any other body.
func TestHandlerOfUnknownLengthEvaluatesConditions(t *testing.T) {
	url := start(t, handled(bodyOf(1000), 100, "Content-Type: video/mp4", "Etag: \"a\""))
	for lines, status := range map[string]int{
		`If-Range: "a"`: 206, `If-Range: "b"`: 200, `If-None-Match: "a"`: 304, `If-Match: "b"`: 412, `If-Match: "a"`: 206,
	} {
		a := ask(t, "GET", url, "Range: bytes=5-6", lines)
		require.NoError(t, a.err)
		require.Equal(t, status, a.StatusCode, lines)
	}
}

// TestHandlerOfUnknownLengthBreaksOff if the header of a range was sent and the range does not come whole.
func TestHandlerOfUnknownLengthBreaksOff(t *testing.T) {
	url := start(t, handled(bodyOf(500_000), 4096, "Content-Type: video/mp4"))
	a := ask(t, "GET", url, "Range: bytes=1-500000")
	require.Equal(t, "bytes 1-500000/*", a.Header.Get("Content-Range"))
	require.ErrorIs(t, a.err, io.ErrUnexpectedEOF)
}

// TestHandlerStopsTheInnerHandler after the last requested byte.
func TestHandlerStopsTheInnerHandler(t *testing.T) {
	for _, c := range []struct {
		header  string
		status  int
		written int
	}{
		{"bytes=0-1", 206, 100}, {"bytes=0-99", 206, 100}, {"bytes=0-100", 206, 200}, {"bytes=150-160,250-260", 206, 300},
		{"bytes=2000-", 416, 0}, {"bytes=999-", 206, 1000}, {"", 200, 1000}, {"x", 200, 1000},
	} {
		written, stopped := 0, error(nil)
		h := rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			for ; written < 1000 && stopped == nil; written += 100 {
				if _, stopped = w.Write(make([]byte, 100)); stopped != nil && c.status == 416 {
					return
				}
			}
		}))
		w := serveTo(h, "/film.mp4", c.header)
		require.Equal(t, c.status, w.Code)
		require.Equal(t, c.written, written, c.header)
		require.Equal(t, written < 1000, stopped != nil, c.header)
	}
}

// TestHandlerSlicesAndDoesNotCopy: the connection gets the bytes of a large Write without a copy.
func TestHandlerSlicesAndDoesNotCopy(t *testing.T) {
	body := bodyOf(1 << 20)
	for _, length := range []string{"Content-Length: 1048576", "X-No: length"} {
		w := &recorder{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest("GET", "/film.mp4", nil)
		r.Header.Set("Range", "bytes=1000-200999")
		rangeserve.Handler(inner(body, len(body), length)).ServeHTTP(w, r)
		require.Len(t, w.writes, 1)
		require.Len(t, w.writes[0], 200_000)
		require.Same(t, &body[1000], &w.writes[0][0])
	}
}

type recorder struct {
	*httptest.ResponseRecorder
	writes [][]byte
}

func (r *recorder) Write(p []byte) (int, error) {
	r.writes = append(r.writes, p)
	return r.ResponseRecorder.Write(p)
}

// TestHandlerBreaksOffWhenTheBodyIsShort: no client takes the part for the whole.
func TestHandlerBreaksOffWhenTheBodyIsShort(t *testing.T) {
	for _, header := range []string{"bytes=0-900", "bytes=600-", "bytes=-1", "bytes=0-1,800-801"} {
		for name, h := range map[string]http.Handler{
			"returns": handled(bodyOf(500), 100, "Content-Type: video/mp4", "Content-Length: 1000"),
			"panics": rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "1000")
				_, _ = w.Write(make([]byte, 500))
				panic(http.ErrAbortHandler)
			})),
			"file": rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				describe(w.Header(), 1000, `"v"`)
				file := filepath.Join(t.TempDir(), "x")
				_ = os.WriteFile(file, bodyOf(500), 0o600)
				_, _ = io.Copy(w, openFile(t, file))
			})),
		} {
			require.Error(t, broken(t, start(t, h), "Range: "+header), "%s %s", name, header)
		}
	}
}

// TestHandlerAbortsByItself: it does not rely on the server to notice that bytes are missing.
func TestHandlerAbortsByItself(t *testing.T) {
	h := handled(bodyOf(500), 100, "Content-Type: video/mp4", "Content-Length: 1000")
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { serveTo(h, "/", "bytes=400-600") })
}

// TestHandlerSendsAPartAtItsEnd, though the inner handler takes long to return.
func TestHandlerSendsAPartAtItsEnd(t *testing.T) {
	goOn := make(chan struct{})
	url := start(t, rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		describe(w.Header(), 1000, `"v"`)
		_, _ = w.Write(make([]byte, 100))
		<-goOn
	})))
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	require.NoError(t, err)
	req.Header.Set("Range", "bytes=0-1")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Len(t, b, 2)
	close(goOn)
}

// broken sends a request whose answer must not come whole. It returns the error that shows this, before the header or within
// the body.
func broken(t *testing.T, url string, lines ...string) error {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	require.NoError(t, err)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		require.ErrorIs(t, err, io.EOF)
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// TestHandlerSwallowsAnAbortAfterTheEnd: if Write ends the copying of a proxy, the proxy aborts, but the answer is whole.
func TestHandlerSwallowsAnAbortAfterTheEnd(t *testing.T) {
	abort := rangeserve.Handler(rangeless(bodyOf(1000), 100, `"v"`))
	a := ask(t, "GET", start(t, abort), "Range: bytes=0-1")
	require.NoError(t, a.err)
	require.Equal(t, 206, a.StatusCode)
	require.Len(t, a.body, 2)
}

// A handler that aborts may leave a goroutine behind that still writes. No other viewer gets its bytes.
func TestHandlerDoesNotReuseTheWriterOfAnAbort(t *testing.T) {
	for range 20 {
		var left http.ResponseWriter
		aborts := rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(make([]byte, 500))
			left = w
			panic(http.ErrAbortHandler)
		}))
		require.Equal(t, 2, serveTo(aborts, "/film.mp4", "bytes=0-1").Body.Len())
		next := serveTo(rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "of ")
			_, err := io.WriteString(left, "another ")
			require.Error(t, err)
			_, _ = io.WriteString(w, "this viewer")
		})), "/film.mp4", "")
		require.Equal(t, "of this viewer", next.Body.String())
	}
}

func TestHandlerLetsAnyOtherPanicPass(t *testing.T) {
	for _, c := range []struct {
		header string
		value  any
	}{{"bytes=0-1", "a"}, {"bytes=0-900", "b"}, {"", "c"}, {"bytes=0-900", http.ErrAbortHandler}, {"", http.ErrAbortHandler}} {
		h := rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(make([]byte, 500))
			panic(c.value)
		}))
		require.PanicsWithValue(t, c.value, func() { serveTo(h, "/film.mp4", c.header) })
	}
}

// TestHandlerStreams: bytes reach the client while the inner handler still works, of a part as of a whole.
func TestHandlerStreams(t *testing.T) {
	for _, c := range []struct{ header, length, want string }{
		{"", "", "0123456789"}, {"", "20", "0123456789"}, {"bytes=0-", "", "0123456789"}, {"bytes=5-", "20", "56789"},
		{"bytes=5-14", "20", "56789"}, {"bytes=2-4", "", "234"}, {"bytes=2-4", "20", "234"},
	} {
		goOn := make(chan struct{})
		h := rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if c.length != "" {
				w.Header().Set("Content-Length", c.length)
			}
			w.Header().Set("Content-Type", "video/x-flv")
			_, _ = io.WriteString(w, "0123456789")
			if f, ok := w.(http.Flusher); ok {
				f.Flush()
			}
			<-goOn
			_, _ = io.WriteString(w, "0123456789")
		}))
		req, err := http.NewRequest("GET", start(t, h), nil)
		require.NoError(t, err)
		if c.header != "" {
			req.Header.Set("Range", c.header)
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		got := make([]byte, len(c.want))
		_, err = io.ReadFull(resp.Body, got)
		require.NoError(t, err)
		require.Equal(t, c.want, string(got))
		close(goOn)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
	}
}

// TestHandlerFlushesNoHeaderTooEarly: a flush before the header, or while it is held back, sends none.
func TestHandlerFlushesNoHeaderTooEarly(t *testing.T) {
	h := rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		control := http.NewResponseController(w)
		w.Header().Set("Content-Type", "video/mp4")
		_, _ = io.WriteString(w, "01234")
		require.NoError(t, control.Flush())
		_, _ = io.WriteString(w, "56789")
	}))
	w := serveTo(h, "/", "bytes=3-100")
	require.Equal(t, 206, w.Code)
	require.Equal(t, "bytes 3-9/10", w.Header().Get("Content-Range"))
	require.Equal(t, "3456789", w.Body.String())

	flushed := rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "4")
		require.NoError(t, http.NewResponseController(w).Flush())
		_, _ = io.WriteString(w, "0123")
	}))
	require.Equal(t, 206, serveTo(flushed, "/", "bytes=1-1").Code)
	require.Equal(t, 200, serveTo(flushed, "/", "").Code)
}

// TestHandlerGivesTheBareWriter if there is nothing to cut.
func TestHandlerGivesTheBareWriter(t *testing.T) {
	for _, c := range []struct {
		method, upgrade string
		bare            bool
	}{{"POST", "", true}, {"OPTIONS", "", true}, {"GET", "websocket", true}, {"GET", "", false}, {"HEAD", "", false}} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(c.method, "/", nil)
		if c.upgrade != "" {
			r.Header.Set("Upgrade", c.upgrade)
		}
		r.Header.Set("Range", "bytes=0-1")
		rangeserve.Handler(http.HandlerFunc(func(got http.ResponseWriter, _ *http.Request) {
			_, bare := got.(*httptest.ResponseRecorder)
			require.Equal(t, c.bare, bare)
			if u, ok := got.(interface{ Unwrap() http.ResponseWriter }); !bare {
				require.True(t, ok)
				require.Same(t, w, u.Unwrap())
			}
		})).ServeHTTP(w, r)
	}
}

func TestHandlerReachesTheConnection(t *testing.T) {
	h := rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		control := http.NewResponseController(w)
		if err := errors.Join(control.SetWriteDeadline(time.Now().Add(time.Minute)), control.EnableFullDuplex()); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	require.Equal(t, 200, ask(t, "GET", start(t, h)).StatusCode)
}

func TestHandlerPassesInformationalAnswers(t *testing.T) {
	h := rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Content-Length", "3")
		_, _ = io.WriteString(w, "abc")
	}))
	a := ask(t, "GET", start(t, h)+"/x.mp4", "Range: bytes=1-1")
	require.Equal(t, 206, a.StatusCode)
	require.Equal(t, "b", string(a.body))
}

func TestHandlerOfAHandlerThatDoesNothing(t *testing.T) {
	h := rangeserve.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, header := range []string{"", "bytes=0-1", "bytes=-1", "x"} {
		a := ask(t, "GET", start(t, h), "Range: "+header)
		require.NoError(t, a.err)
		require.Equal(t, 200, a.StatusCode)
		require.Empty(t, a.body)
	}
}

// TestHandlerTwice: an answer that was cut already is left as it is.
func TestHandlerTwice(t *testing.T) {
	body := bodyOf(1000)
	h := rangeserve.Handler(rangeserve.Handler(rangeless(body, 100, `"v"`)))
	requirePartial(t, ask(t, "GET", start(t, h), "Range: bytes=10-19,30-39"), "10-19,30-39", body)
}

// TestHandlerReadsAnEarlyClose: the inner handler notices that a client has left.
func TestHandlerReadsAnEarlyClose(t *testing.T) {
	ended := make(chan error, 1)
	h := rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000000000")
		err := error(nil)
		for p := make([]byte, 1<<20); err == nil; {
			_, err = w.Write(p)
		}
		ended <- r.Context().Err()
	}))
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", start(t, h), nil)
	require.NoError(t, err)
	req.Header.Set("Range", "bytes=10-")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	_, err = bufio.NewReader(resp.Body).ReadByte()
	require.NoError(t, err)
	cancel()
	resp.Body.Close()
	<-ended
}
