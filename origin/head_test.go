package origin_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// An origin that dies between the header and the first byte has sent nothing that must be taken back.
func TestAnOriginThatDiesAtTheHeaderIsABadGateway(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	for name, head := range map[string]string{
		"length":           "Content-Length: 1000\r\n\r\n",
		"chunked":          "Transfer-Encoding: chunked\r\n\r\n",
		"half a chunk":     "Transfer-Encoding: chunked\r\n\r\n5",
		"no chunk at all":  "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello",
		"partial, chunked": "Content-Range: bytes 2-4/9\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			status, header := "200 OK", []string{}
			if strings.HasPrefix(name, "partial") {
				status, header = "206 Partial Content", []string{"Range", "bytes=2-4"}
			}
			f.origin.Handle("/a.ts", faultorigin.Script{Raw: []byte("HTTP/1.1 " + status + "\r\nContent-Type: video/mp2t\r\nETag: \"a\"\r\n" + head)})
			resp, body := f.get(t, "/a.ts", header...)
			require.Equal(t, 502, resp.StatusCode)
			require.Equal(t, "Bad Gateway\n", body)
			for _, gone := range []string{"Etag", "Content-Range"} {
				require.Empty(t, resp.Header.Get(gone), "a field of the answer that never came")
			}
		})
	}
}

// headed sends a header at once, and a body like timed.
type headed struct{ timed }

func (s headed) RoundTrip(r *http.Request) (*http.Response, error) {
	s.header = 0
	return s.timed.RoundTrip(r)
}

// flushes records when a header and its body went out.
type flushes struct {
	httptest.ResponseRecorder
	begun time.Time
	log   []string
}

func (w *flushes) note(what string) {
	w.log = append(w.log, fmt.Sprintf("%s after %v", what, time.Since(w.begun)))
}

func (w *flushes) WriteHeader(status int) {
	w.note(fmt.Sprint(status))
	w.ResponseRecorder.WriteHeader(status)
}

func (w *flushes) Flush() {
	w.note("flush")
	w.ResponseRecorder.Flush()
}

func TestWhenTheHeaderIsSent(t *testing.T) {
	const second = time.Second
	for name, row := range map[string]struct {
		every time.Duration
		bytes int
		end   error
		want  []string
	}{
		"the first byte is near": {second / 4, 1, io.EOF, []string{"200 after 250ms", "flush after 250ms"}},
		"it is far":              {second, 1, io.EOF, []string{"200 after 500ms", "flush after 500ms", "flush after 1s"}},
		"empty":                  {0, 0, io.EOF, []string{"200 after 0s"}},
		"dies at once":           {0, 0, errors.New("reset"), []string{"502 after 0s"}},
		"stalls":                 {30 * second, 1, nil, []string{"200 after 500ms", "flush after 500ms", "flush after 10s"}},
	} {
		for _, writerTo := range []bool{false, true} {
			t.Run(fmt.Sprint(name, writerTo), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := &origin.Proxy{
						Upstream:  func(*url.URL) (string, error) { return "http://a.example/x.ts", nil },
						Transport: headed{timed{every: row.every, bytes: row.bytes, end: row.end, writerTo: writerTo}},
					}
					w := &flushes{ResponseRecorder: *httptest.NewRecorder(), begun: time.Now()}
					aborts(func() { p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x.ts", nil)) })
					require.Equal(t, row.want, w.log)
				})
			})
		}
	}
}

// spoilt is an outer ResponseWriter that fails at the header.
type spoilt struct {
	http.ResponseWriter
	fail func()
}

func (w spoilt) WriteHeader(int)             { w.fail() }
func (w spoilt) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// The header of a silent stream is sent in a timer's goroutine. A panic there becomes the handler's panic.
func TestAFailureOnTheTimerReachesTheHandler(t *testing.T) {
	for name, row := range map[string]struct {
		fail func()
		want any
	}{
		"panic":  {func() { panic("a fault") }, "a fault"},
		"abort":  {func() { panic(http.ErrAbortHandler) }, http.ErrAbortHandler},
		"goexit": {runtime.Goexit, http.ErrAbortHandler},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &origin.Proxy{
					Upstream:  func(*url.URL) (string, error) { return "http://a.example/x.ts", nil },
					Transport: headed{timed{every: 5 * time.Second, bytes: 3, end: io.EOF}},
				}
				begun := time.Now()
				require.PanicsWithValue(t, row.want, func() {
					p.ServeHTTP(spoilt{httptest.NewRecorder(), row.fail}, httptest.NewRequest(http.MethodGet, "/x.ts", nil))
				})
				require.Equal(t, 500*time.Millisecond, time.Since(begun), "the wait for the body ends with it")
			})
		})
	}
}

// armed records whether a deadline was set before the header was sent.
type armed struct {
	httptest.ResponseRecorder
	deadline time.Time
	log      []bool
}

func (w *armed) SetWriteDeadline(d time.Time) error { w.deadline = d; return nil }

func (w *armed) WriteHeader(status int) {
	w.log = append(w.log, w.deadline.After(time.Now()))
	w.ResponseRecorder.WriteHeader(status)
}

func TestTheHeaderOfASilentStreamHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &origin.Proxy{
			Upstream:  func(*url.URL) (string, error) { return "http://a.example/x.ts", nil },
			Transport: headed{timed{every: 5 * time.Second, bytes: 1, end: io.EOF}},
		}
		w := &armed{ResponseRecorder: *httptest.NewRecorder()}
		p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x.ts", nil))
		require.Equal(t, []bool{true}, w.log)
	})
}

func TestAHookThatSetsNonsense(t *testing.T) {
	for _, status := range []int{-1, 0, 99, 100, 199, 1000} {
		for _, length := range []int64{-1, 3} {
			p := &origin.Proxy{
				Upstream: func(*url.URL) (string, error) { return "http://a.example/x.ts", nil },
				Transport: roundTrip(func(*http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: length, Body: io.NopCloser(strings.NewReader("abc"))}, nil
				}),
				ModifyResponse: func(resp *http.Response) error { resp.StatusCode, resp.Body = status, nil; return nil },
			}
			w := httptest.NewRecorder()
			p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x.ts", nil))
			require.Equal(t, 500, w.Code)
		}
	}
}

// A body with a length has all its time until the limit. If nothing comes, there is an error status.
func TestABodyThatNeverBeginsIsATimeout(t *testing.T) {
	f := newFront(t, &origin.Proxy{Idle: 200 * time.Millisecond})
	f.origin.Handle("/a.ts", faultorigin.Script{Body: []byte("abc"), Func: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "3")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})})
	resp, _ := f.get(t, "/a.ts")
	require.Equal(t, 504, resp.StatusCode)
}
