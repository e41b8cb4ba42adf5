package corsmw_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const page = "https://page.example"

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func answer(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

func ask(h http.Handler, method string, header ...string) *http.Response {
	r := httptest.NewRequest(method, "/live/seg1.ts", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func credentialed(t *testing.T) *corsmw.Middleware {
	t.Helper()
	m, err := corsmw.New(corsmw.Config{Origins: []string{page}, Credentials: true})
	require.NoError(t, err)
	return m
}

func open(t *testing.T) *corsmw.Middleware {
	t.Helper()
	m, err := corsmw.New(corsmw.Config{Origins: []string{"*"}})
	require.NoError(t, err)
	return m
}

// requireOnce checks that page may read the answer, and that each field occurs once.
func requireOnce(t *testing.T, res *http.Response) {
	t.Helper()
	require.Equal(t, []string{page}, res.Header["Access-Control-Allow-Origin"])
	require.Equal(t, []string{"true"}, res.Header["Access-Control-Allow-Credentials"])
	require.Len(t, res.Header["Access-Control-Expose-Headers"], 1)
	require.Contains(t, res.Header.Get("Vary"), "Origin")
	require.Len(t, res.Header["Vary"], 1)
}

func TestHeadersStandOnEveryStatus(t *testing.T) {
	for _, code := range []int{200, 204, 206, 301, 304, 400, 401, 403, 404, 410, 416, 429, 500, 502, 503, 504} {
		requireOnce(t, ask(credentialed(t).Handler(answer(code)), "GET", "Origin", page))
		res := ask(open(t).Handler(answer(code)), "GET")
		require.Equal(t, code, res.StatusCode)
		require.Equal(t, []string{"*"}, res.Header["Access-Control-Allow-Origin"], "a copy that a cache keeps serves pages too")
		require.Empty(t, res.Header["Vary"], "an open answer is one and the same for all")
	}
}

func TestExposedAndAllowedByDefault(t *testing.T) {
	h := open(t).Handler(answer(200))
	exposed := ask(h, "GET", "Origin", page).Header.Get("Access-Control-Expose-Headers")
	for _, name := range []string{"Content-Length", "Content-Range", "Accept-Ranges", "Date", "Age", "ETag", "Retry-After", "Cache-Status"} {
		require.Contains(t, strings.Split(exposed, ", "), name)
	}
	res := ask(h, "OPTIONS", "Origin", page, "Access-Control-Request-Method", "GET")
	for _, name := range []string{"Range", "If-Range", "If-None-Match", "Authorization", "CMCD-Object", "CMCD-Request", "CMCD-Session", "CMCD-Status"} {
		require.Contains(t, strings.Split(res.Header.Get("Access-Control-Allow-Headers"), ", "), name)
	}
}

func TestInnerHeadersAreReplaced(t *testing.T) {
	foreign := func(w http.ResponseWriter) {
		h := w.Header()
		h.Add("Access-Control-Allow-Origin", "*")
		h.Add("Access-Control-Allow-Origin", "https://other.example")
		h.Set("Access-Control-Allow-Credentials", "false")
		h.Add("Access-Control-Expose-Headers", "X-Secret")
		h.Set("Access-Control-Allow-Methods", "DELETE")
		h["access-control-max-age"] = []string{"1"}
		h.Set("Access-Control-Allow-Private-Network", "true")
		h.Set("Vary", "Accept-Encoding")
	}
	file := must(os.CreateTemp(t.TempDir(), "seg"))
	must(file.WriteString("body"))
	for name, write := range map[string]func(http.ResponseWriter, *http.Request){
		"WriteHeader": func(w http.ResponseWriter, _ *http.Request) { foreign(w); w.WriteHeader(206) },
		"Write":       func(w http.ResponseWriter, _ *http.Request) { foreign(w); must(w.Write([]byte("body"))) },
		"WriteString": func(w http.ResponseWriter, _ *http.Request) { foreign(w); must(io.WriteString(w, "body")) },
		"nothing":     func(w http.ResponseWriter, _ *http.Request) { foreign(w) },
		"Flusher":     func(w http.ResponseWriter, _ *http.Request) { foreign(w); w.(http.Flusher).Flush() },
		"Controller":  func(w http.ResponseWriter, _ *http.Request) { foreign(w); _ = http.NewResponseController(w).Flush() },
		"ReadFrom a file": func(w http.ResponseWriter, _ *http.Request) {
			foreign(w)
			must(file.Seek(0, 0))
			must(io.Copy(w, file))
		},
		"http.Error":        func(w http.ResponseWriter, _ *http.Request) { foreign(w); http.Error(w, "gone", http.StatusGone) },
		"http.ServeContent": func(w http.ResponseWriter, r *http.Request) { foreign(w); serve(w, r) },
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(credentialed(t).Handler(http.HandlerFunc(write)))
			defer s.Close()
			res := get(t, s.URL, page)
			requireOnce(t, res)
			require.Empty(t, res.Header["Access-Control-Allow-Methods"])
			require.Empty(t, res.Header["Access-Control-Max-Age"])
			require.Empty(t, res.Header["Access-Control-Allow-Private-Network"])
			require.Equal(t, "Origin, Accept-Encoding", res.Header.Get("Vary"))

			res = get(t, s.URL, "https://evil.example")
			for name := range res.Header {
				require.False(t, strings.HasPrefix(name, "Access-Control-"), name)
			}
		})
	}
}

func serve(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "seg.mp4", modTime, bytes.NewReader(make([]byte, 1000)))
}

func get(t *testing.T, url, origin string) *http.Response {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), "GET", url, nil))
	r.Header.Set("Origin", origin)
	r.Header.Set("Accept-Encoding", "identity")
	res := must(http.DefaultClient.Do(r))
	_, err := io.Copy(io.Discard, res.Body)
	require.NoError(t, err)
	res.Body.Close()
	return res
}

// An outer handler may change header values in place. That changes only its own viewer's answer.
func TestNoTwoAnswersShareAValue(t *testing.T) {
	for name, c := range map[string]corsmw.Config{
		"open":        {Origins: everyone, Timing: true, ResourcePolicy: "cross-origin"},
		"credentials": {Origins: []string{page}, Credentials: true, Timing: true, PrivateNetwork: true},
	} {
		h := must(corsmw.New(c)).Handler(answer(200))
		for _, request := range [][]string{
			{"GET", "Origin", page},
			{"OPTIONS", "Origin", page},
			{"OPTIONS", "Origin", page, "Access-Control-Request-Method", "GET", "Access-Control-Request-Private-Network", "true"},
		} {
			r := httptest.NewRequest(request[0], "/live/seg1.ts", nil)
			for i := 1; i < len(request); i += 2 {
				r.Header.Set(request[i], request[i+1])
			}
			before := ask(h, request[0], request[1:]...).Header
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			for _, values := range w.Header() {
				for i := range values {
					values[i] = "changed"
				}
			}
			require.Equal(t, before, ask(h, request[0], request[1:]...).Header, name)
			require.Equal(t, page, r.Header.Get("Origin"), "nor does it change the request")
		}
	}
}

// Answers that lie side by side in memory stay apart when their values change or grow, and while others are made.
func TestAnswersAreIndependentOfTheirNeighbours(t *testing.T) {
	h := must(corsmw.New(corsmw.Config{Origins: []string{"https://**.page.example"}, Credentials: true, Timing: true})).Handler(answer(200))
	var done sync.WaitGroup
	for viewer := range 4 {
		done.Go(func() {
			var answers []http.Header
			for i := range 40 {
				w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/live/seg1.ts", nil)
				r.Header.Set("Origin", fmt.Sprintf("https://v%d-%d.page.example", viewer, i))
				h.ServeHTTP(w, r)
				answers = append(answers, w.Header())
				for name := range w.Header() {
					w.Header().Add(name, "one more")
				}
				for _, values := range answers[0] {
					values[0] = "changed"
				}
			}
			for i, header := range answers[1:] {
				origin := fmt.Sprintf("https://v%d-%d.page.example", viewer, i+1)
				assert.Equal(t, []string{origin, "one more"}, header["Access-Control-Allow-Origin"])
				assert.Equal(t, []string{origin, "one more"}, header["Timing-Allow-Origin"])
				assert.Equal(t, []string{"true", "one more"}, header["Access-Control-Allow-Credentials"])
			}
		})
	}
	done.Wait()
}

// Other answers are made while an outer handler changes its own: those of a handler with CORS fields of its own need more values
// than usual. The race detector watches.
func TestAnswersAreIndependentWhileOthersAreMade(t *testing.T) {
	h := must(corsmw.New(corsmw.Config{Origins: []string{page}, Credentials: true})).Handler(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			for name := range w.Header() {
				if name != "Vary" {
					w.Header().Set(name, "of the handler")
				}
			}
		}))
	var done sync.WaitGroup
	for range 200 {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/live/seg1.ts", nil)
		r.Header.Set("Origin", page)
		h.ServeHTTP(w, r)
		require.Equal(t, []string{page}, w.Header()["Access-Control-Allow-Origin"])
		done.Go(func() {
			for _, values := range w.Header() {
				values[0] = "changed"
			}
		})
	}
	done.Wait()
}

// What lasts for hours does not keep what origins sent to others before.
func TestALongAnswerHoldsNoVaryOfOthers(t *testing.T) {
	const long = 4 << 20
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	h := credentialed(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.Header().Set("Vary", strings.Repeat("x", long))
			return
		}
		require.Less(t, heap(), int64(3*long))
	}))
	for range 7 {
		ask(h, http.MethodHead, "Origin", page)
	}
	ask(h, http.MethodGet, "Origin", page)
}

// Vary may come from an origin, which may send 240 KB of it.
func TestAVaryWithoutEndIsEverything(t *testing.T) {
	many := func(n int) string {
		var v strings.Builder
		for i := range n {
			fmt.Fprintf(&v, "a%x,", i)
		}
		return v.String()
	}
	for name, c := range map[string]struct {
		vary []string
		want string // its beginning
	}{
		"one line":        {[]string{many(40_000)}, "*"},
		"many lines":      {strings.Split(many(40_000), ","), "*"},
		"the same again":  {[]string{strings.Repeat("Accept,", 40_000)}, "Origin, Accept"},
		"nothing, often":  {[]string{strings.Repeat(",", 200_000)}, "Origin"},
		"63 more at most": {[]string{many(63)}, "Origin, a0, a1, "},
		"one too many":    {[]string{many(64)}, "*"},
	} {
		t.Run(name, func(t *testing.T) {
			h := credentialed(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header()["Vary"] = c.vary }))
			got := ask(h, "GET", "Origin", page).Header["Vary"]
			require.Len(t, got, 1)
			require.True(t, strings.HasPrefix(got[0], c.want), "%.80s", got[0])
			require.Less(t, len(got[0]), 1000)
		})
	}
}

func TestVaryIsMerged(t *testing.T) {
	for name, c := range map[string]struct {
		add  func(http.Header)
		want []string
	}{
		"nothing":            {func(http.Header) {}, []string{"Origin"}},
		"added to ours":      {func(h http.Header) { h.Add("Vary", "Accept-Encoding") }, []string{"Origin, Accept-Encoding"}},
		"in place of ours":   {func(h http.Header) { h.Set("Vary", "Accept-Encoding") }, []string{"Origin, Accept-Encoding"}},
		"removed":            {func(h http.Header) { h.Del("Vary") }, []string{"Origin"}},
		"twice and in lists": {func(h http.Header) { h["Vary"] = []string{"accept , origin", "", "Accept,Cookie"} }, []string{"Origin, accept, Cookie"}},
		"everything":         {func(h http.Header) { h.Set("Vary", "Cookie, *") }, []string{"*"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := credentialed(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.add(w.Header()); w.WriteHeader(200) }))
			require.Equal(t, c.want, ask(h, "GET", "Origin", page).Header["Vary"])
			// Nothing that one handler adds may reach the next answer.
			require.Equal(t, []string{"Origin"}, ask(credentialed(t).Handler(answer(200)), "GET", "Origin", page).Header["Vary"])
		})
	}
}

func TestWorksInsideAndOutsideOfCompression(t *testing.T) {
	m := credentialed(t)
	text := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { must(io.WriteString(w, "#EXTM3U\n")) })
	for name, h := range map[string]http.Handler{"inside": compress(m.Handler(text)), "outside": m.Handler(compress(text))} {
		res := ask(h, "GET", "Origin", page)
		requireOnce(t, res)
		require.Equal(t, "gzip", res.Header.Get("Content-Encoding"), name)
		require.Equal(t, "#EXTM3U\n", string(must(io.ReadAll(must(gzip.NewReader(res.Body))))), name)
	}
}

type gzipWriter struct {
	http.ResponseWriter
	zip io.Writer
}

func (w gzipWriter) Write(p []byte) (int, error) { return w.zip.Write(p) }
func (w gzipWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
func compress(next http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if v := w.Header().Get("Vary"); v == "" {
			w.Header().Set("Vary", "Accept-Encoding")
		} else {
			w.Header().Set("Vary", v+", Accept-Encoding")
		}
		w.Header().Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		next.ServeHTTP(gzipWriter{w, zip}, r)
		_ = zip.Close()
		if !strings.Contains(w.Header().Get("Vary"), "Accept-Encoding") {
			panic("lost Vary")
		}
	}
}

func TestInformationalAnswersAreNotTheLast(t *testing.T) {
	s := httptest.NewServer(credentialed(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Add("Access-Control-Allow-Origin", "*")
		w.WriteHeader(404)
	})))
	defer s.Close()
	hints := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error { hints++; return nil },
	})
	r := must(http.NewRequestWithContext(ctx, "GET", s.URL, nil))
	r.Header.Set("Origin", page)
	res := must(http.DefaultClient.Do(r))
	defer res.Body.Close()
	require.Equal(t, 1, hints)
	require.Equal(t, 404, res.StatusCode)
	requireOnce(t, res)
}

func TestHijackedAndUpgradedAnswers(t *testing.T) {
	s := httptest.NewServer(credentialed(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Access-Control-Allow-Origin", "*")
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		must(rw.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n"))
		if err := errors.Join(w.Header().Write(rw), writeCRLF(rw), rw.Flush()); err != nil {
			panic(err)
		}
	})))
	defer s.Close()
	requireOnce(t, get(t, s.URL, page))

	res := ask(credentialed(t).Handler(answer(http.StatusSwitchingProtocols)), "GET", "Origin", page)
	requireOnce(t, res)
}

func writeCRLF(rw *bufio.ReadWriter) error {
	_, err := rw.WriteString("\r\n")
	return err
}

func TestAPanicGoesThroughAndAnOuterHandlerStillHasTheHeaders(t *testing.T) {
	m := credentialed(t)
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		ask(m.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			must(w.Write([]byte("half")))
			panic(http.ErrAbortHandler)
		})), "GET", "Origin", page)
	})
	recovering := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				w.WriteHeader(500)
			}
		}()
		m.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("bug") })).ServeHTTP(w, r)
	})
	res := ask(recovering, "GET", "Origin", page)
	require.Equal(t, 500, res.StatusCode)
	requireOnce(t, res)
}

// TestFilesGoOutWithoutCopying checks that the connection below still sees the file itself.
func TestFilesGoOutWithoutCopying(t *testing.T) {
	file := must(os.CreateTemp(t.TempDir(), "seg"))
	under := &readerFrom{ResponseRecorder: httptest.NewRecorder()}
	h := credentialed(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		must(io.Copy(w, struct{ io.Reader }{io.LimitReader(file, 10)}))
	}))
	h.ServeHTTP(under, httptest.NewRequest("GET", "/", nil))
	require.True(t, under.used)
}

type readerFrom struct {
	*httptest.ResponseRecorder
	used bool
}

func (r *readerFrom) ReadFrom(src io.Reader) (int64, error) {
	r.used = true
	return io.Copy(r.ResponseRecorder, src)
}

func TestWhatTheConnectionCannotDoIsReported(t *testing.T) {
	plain := struct{ http.ResponseWriter }{httptest.NewRecorder()}
	credentialed(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _, err := w.(http.Hijacker).Hijack()
		require.ErrorIs(t, err, http.ErrNotSupported)
		require.ErrorIs(t, http.NewResponseController(w).Flush(), http.ErrNotSupported)
		require.ErrorIs(t, http.NewResponseController(w).SetWriteDeadline(modTime), http.ErrNotSupported)
	})).ServeHTTP(plain, httptest.NewRequest("GET", "/", nil))
}

// bare is a connection that can be neither flushed nor hijacked.
type bare struct{ http.ResponseWriter }

// A call that did not send the header does not end its correction: an inner handler may still add another server's fields.
func TestTheHeaderIsRightWhateverWasTriedBefore(t *testing.T) {
	for name, try := range map[string]func(http.ResponseWriter) error{
		"a flush":  func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
		"a hijack": func(w http.ResponseWriter) error { _, _, err := http.NewResponseController(w).Hijack(); return err },
		"an empty copy": func(w http.ResponseWriter) error {
			_, err := io.Copy(w, struct{ io.Reader }{strings.NewReader("")})
			return errors.Join(err, io.EOF)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inner := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				require.Error(t, try(w))
				w.Header().Set("Access-Control-Allow-Origin", "https://evil.example")
				w.Header().Set("Access-Control-Allow-Methods", "DELETE")
				w.WriteHeader(http.StatusOK)
			})
			h := credentialed(t).Handler(inner)
			outer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(bare{w}, r) })
			requireOnce(t, ask(outer, "GET", "Origin", page))
			require.Empty(t, ask(outer, "GET", "Origin", "https://evil.example").Header.Values("Access-Control-Allow-Origin"))
		})
	}
}
