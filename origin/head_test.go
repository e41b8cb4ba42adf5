package origin_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// Whoever dies between the header and the first byte has sent nothing yet that would have to be taken back.
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

// headed sends a header at once, and a body as timed does.
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

// A body with a length has all its time until the limit, and its absence a status.
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
