package origin_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// An HTTP-FLV or HTTP-TS stream has no end, and each piece must arrive before the next one is sent.
func TestEndlessStreamsFlowAndEndWithTheViewer(t *testing.T) {
	tick := make(chan struct{})
	gone := make(chan struct{})
	f := newFront(t, &origin.Proxy{})
	f.origin.Handle("/live.flv", faultorigin.Script{Func: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		w.Header().Set("Content-Type", "video/x-flv")
		w.(http.Flusher).Flush()
		for i := 0; ; i++ {
			select {
			case <-tick:
				fmt.Fprintf(w, "tag %d\n", i)
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				return
			}
		}
	})})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, f.URL+"/live.flv", nil)
	resp, err := client(t).RoundTrip(r)
	require.NoError(t, err, "the header comes before any byte of the body")
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for i := range 5 {
		tick <- struct{}{}
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("tag %d\n", i), line)
	}
	cancel()
	select {
	case <-gone:
	case <-time.After(time.Minute):
		t.Fatal("the origin still sends to nobody")
	}
}

func TestAViewerWhoLeavesBeforeTheHeader(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	f.origin.Handle("/a.ts", faultorigin.Script{Hang: true})
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, f.URL+"/a.ts", nil)
	go func() {
		for f.origin.Open() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, err := client(t).RoundTrip(r)
	require.ErrorIs(t, err, context.Canceled)
	require.Eventually(t, func() bool { return f.origin.Open() == 0 }, time.Minute, time.Millisecond)
}

// A viewer who reads nothing is dropped, and so is the request upstream.
func TestAViewerWhoStandsStill(t *testing.T) {
	f := newFront(t, &origin.Proxy{Stall: 200 * time.Millisecond})
	f.origin.Handle("/a.ts", faultorigin.Script{Body: bytes.Repeat([]byte("x"), 1<<20), Chunked: true, Loop: true})
	conn, err := net.Dial("tcp", f.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	fmt.Fprintf(conn, "GET /a.ts HTTP/1.1\r\nHost: x\r\n\r\n")
	require.Eventually(t, func() bool { return f.origin.Open() == 1 }, time.Minute, time.Millisecond)
	require.Eventually(t, func() bool { return f.origin.Open() == 0 }, 20*time.Second, 10*time.Millisecond)
}

// Small answers stay in the server's buffer until the Proxy is done with them, and there is always room for one. A client who
// sends many requests and reads no answer is dropped all the same.
func TestAViewerWhoStandsStillBeforeManySmallAnswers(t *testing.T) {
	body := make([]byte, 1<<10)
	s := httptest.NewUnstartedServer(&origin.Proxy{
		Upstream: func(*url.URL) (string, error) { return "http://a.example/a.ts", nil },
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)), Header: http.Header{}}, nil
		}),
		Stall: 200 * time.Millisecond,
	})
	s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		c.(*net.TCPConn).SetWriteBuffer(4 << 10)
		return ctx
	}
	s.Start()
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	for err == nil {
		_, err = io.WriteString(conn, "GET /a.ts HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
}

func aborts(f func()) (aborted bool) {
	defer func() {
		if v := recover(); v != nil {
			if v != http.ErrAbortHandler {
				panic(v)
			}
			aborted = true
		}
	}()
	f()
	return false
}

func TestAViewerGoneIsNotAnswered(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := &origin.Proxy{
		Upstream:  func(*url.URL) (string, error) { return "http://a.example/x.ts", nil },
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) { return nil, r.Context().Err() }),
	}
	p.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { t.Error("called for nobody") }
	require.True(t, aborts(func() {
		p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/x.ts", nil).WithContext(ctx))
	}))
}

// Many services have an outer handler that recovers all panics. Its response to an abort must not look like the end of a body.
func TestABrokenBodyDoesNotEndCleanlyWhereAPanicIsCaught(t *testing.T) {
	caught := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				if recover() != nil {
					http.Error(w, "Internal Server Error", 500)
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
	for name, script := range map[string]faultorigin.Script{
		"known length":   {Body: bytes.Repeat([]byte("x"), 100_000), CutAt: 60_000},
		"unknown length": {Body: bytes.Repeat([]byte("x"), 100_000), CutAt: 60_000, Chunked: true},
	} {
		for _, h2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %v", name, h2), func(t *testing.T) {
				f := newFront(t, &origin.Proxy{})
				f.origin.Handle("/a.ts", script)
				s := serveTLS(t, caught(f.proxy), h2)
				resp, err := s.Client().Get(s.URL + "/a.ts")
				require.NoError(t, err)
				defer resp.Body.Close()
				_, err = io.ReadAll(resp.Body)
				require.Error(t, err)
			})
		}
	}
}

// writes records how a body arrives.
type writes struct {
	httptest.ResponseRecorder
	sizes []int
	fail  error
}

func (w *writes) Write(p []byte) (int, error) {
	if w.fail != nil {
		return 0, w.fail
	}
	w.sizes = append(w.sizes, len(p))
	return w.ResponseRecorder.Write(p)
}

func TestLargeWritesGoInPieces(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 1_000_000)
	p := &origin.Proxy{
		Stall:    time.Hour, // a client that takes a piece within a sixteenth of it gets a longer one
		Upstream: func(*url.URL) (string, error) { return "http://a.example/x.ts", nil },
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			b := struct {
				io.Reader
				io.WriterTo
				io.Closer
			}{nil, bytes.NewReader(body), io.NopCloser(nil)}
			return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: int64(len(body)), Body: b, Request: r}, nil
		}),
	}
	w := &writes{ResponseRecorder: *httptest.NewRecorder()}
	p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x.ts", nil))
	require.Equal(t, []int{256 << 10, 512 << 10, 1_000_000 - 3*256<<10}, w.sizes)
	require.Equal(t, body, w.Body.Bytes())
	require.Equal(t, "1000000", w.Header().Get("Content-Length"))

	w = &writes{ResponseRecorder: *httptest.NewRecorder(), fail: errors.New("served")}
	require.False(t, aborts(func() { p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x.ts", nil)) }),
		"whoever refuses the rest knows why")
}

// A pause upstream is not the viewer's fault. Over HTTP/2, deadlines pass even without a write.
func TestAPauseUpstreamDoesNotCutTheViewer(t *testing.T) {
	for name, h2 := range map[string]bool{"HTTP/1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFront(t, &origin.Proxy{Stall: 500 * time.Millisecond}) // longer than a write takes, also on a busy machine
			f.origin.Handle("/a.ts", faultorigin.Script{Body: []byte("abcd"), Chunked: true, Step: 2, Every: 800 * time.Millisecond})
			s := serveTLS(t, f.proxy, h2)
			resp, err := s.Client().Get(s.URL + "/a.ts")
			require.NoError(t, err)
			defer resp.Body.Close()
			require.Equal(t, h2, resp.ProtoMajor == 2)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, "abcd", string(body))
		})
	}
}
