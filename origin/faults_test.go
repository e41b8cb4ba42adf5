package origin_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// An origin closes connections between requests without notice.
func TestIdleConnectionsClosedByTheOrigin(t *testing.T) {
	var conns sync.Map
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "3")
		io.WriteString(w, "abc")
	}))
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateIdle {
			conns.Store(c, true)
		}
	}
	s.Start()
	defer s.Close()
	f := newFront(t, &origin.Proxy{Upstream: func(*url.URL) (string, error) { return s.URL, nil }})
	for range 100 {
		resp, body := f.get(t, "/a.ts")
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, "abc", body)
		conns.Range(func(c, _ any) bool {
			c.(net.Conn).Close()
			conns.Delete(c)
			return true
		})
	}
}

// serveTLS serves h until the test ends, over HTTP/2 if it is to.
func serveTLS(t *testing.T, h http.Handler, h2 bool) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = h2
	s.Config.ErrorLog = quiet()
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// secure is an HTTP/2 origin and a transport that trusts it.
func secure(t *testing.T, h http.HandlerFunc) (*httptest.Server, *http.Transport) {
	t.Helper()
	s := serveTLS(t, h, true)
	tr := transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8")})
	tr.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	return s, tr
}

func TestHTTP2Origins(t *testing.T) {
	var broken atomic.Bool
	body := bytes.Repeat([]byte("x"), 300_000)
	s, tr := secure(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			w.WriteHeader(500)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		if broken.Load() {
			w.Write(body[:100_000])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler) // RST_STREAM
		}
		w.Write(body)
	})
	f := newFront(t, &origin.Proxy{Transport: tr, Upstream: func(*url.URL) (string, error) { return s.URL, nil }})
	_, got, err := f.do(t, http.MethodGet, "/a.ts")
	require.NoError(t, err)
	require.True(t, bytes.Equal(body, got))

	broken.Store(true)
	_, got, err = f.do(t, http.MethodGet, "/a.ts")
	require.Error(t, err, "%d bytes came to a clean end", len(got))

	// GOAWAY: requests that were not begun are sent on another connection.
	broken.Store(false)
	s.Config.SetKeepAlivesEnabled(false)
	for range 20 {
		_, got, err = f.do(t, http.MethodGet, "/a.ts")
		require.NoError(t, err)
		require.Len(t, got, len(body))
	}
}

func TestTLSFailuresAreNoReasonForLess(t *testing.T) {
	var asked atomic.Int64
	s, _ := secure(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	plain := newCounted(t, "127.0.0.1:0", hello)
	for name, upstream := range map[string]string{
		"nobody vouches for it": s.URL, "no TLS there": "https://" + plain.Listener.Addr().String(),
	} {
		f := newFront(t, &origin.Proxy{Upstream: func(*url.URL) (string, error) { return upstream, nil }})
		resp, body := f.get(t, "/a.ts")
		require.Equal(t, 502, resp.StatusCode, name)
		require.Equal(t, "Bad Gateway\n", body)
	}
	require.Zero(t, asked.Load()+plain.requests.Load())
}

func TestDNSFailures(t *testing.T) {
	names, resolver := newNameServer(t, map[string][][]string{"slow.example": {{"127.0.0.1"}}})
	names.mu.Lock()
	names.delay = 500 * time.Millisecond
	names.mu.Unlock()
	tr := transportOf(t, origin.GuardConfig{Resolver: resolver})
	for host, status := range map[string]int{"nothing.example": 502, "slow.example": 504} {
		f := newFront(t, &origin.Proxy{Transport: tr, Wait: map[int]time.Duration{502: 0, 504: 100 * time.Millisecond}[status],
			Upstream: func(*url.URL) (string, error) { return "http://" + host + "/", nil }})
		resp, _ := f.get(t, "/a.ts")
		require.Equal(t, status, resp.StatusCode, host)
	}
}

// Viewers come and go at every stage of an answer, and nothing stays behind.
func TestViewersWhoLeaveLeaveNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("leave", func(t *testing.T) {
		f := newFront(t, &origin.Proxy{})
		f.origin.Handle("/silent.ts", faultorigin.Script{Hang: true})
		f.origin.Handle("/stalled.ts", faultorigin.Script{Body: make([]byte, 100_000), StallAt: 50_000})
		f.origin.Handle("/endless.ts", faultorigin.Script{Body: make([]byte, 10_000), Chunked: true, Loop: true})
		tr := client(t)
		var wg sync.WaitGroup
		for i := range 300 {
			path := []string{"/silent.ts", "/stalled.ts", "/endless.ts"}[i%3]
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(50+i)*time.Millisecond)
				defer cancel()
				r, _ := http.NewRequestWithContext(ctx, http.MethodGet, f.URL+path, nil)
				resp, err := tr.RoundTrip(r)
				if err != nil {
					return
				}
				defer resp.Body.Close()
				io.Copy(io.Discard, resp.Body)
			})
		}
		wg.Wait()
		require.Eventually(t, func() bool { return f.origin.Open() == 0 }, time.Minute, 5*time.Millisecond)
	})
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, time.Minute, 10*time.Millisecond)
}

// One slow viewer costs the others nothing.
func TestASlowViewerDisturbsNobody(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	body := bytes.Repeat([]byte("0123456789"), 400_000)
	f.origin.Handle("/a.ts", video(string(body)))
	conn, err := net.Dial("tcp", f.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	fmt.Fprintf(conn, "GET /a.ts HTTP/1.1\r\nHost: x\r\n\r\n")
	slow := make([]byte, 1000)
	for range 5 {
		_, err := io.ReadFull(conn, slow)
		require.NoError(t, err)
		_, got, err := f.do(t, http.MethodGet, "/a.ts")
		require.NoError(t, err)
		require.True(t, bytes.Equal(body, got))
	}
}

func TestShutdownLetsSegmentsFinish(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	f.origin.Handle("/a.ts", faultorigin.Script{Body: []byte("abcdef"), Step: 2, Every: 100 * time.Millisecond})
	ended := make(chan error, 1)
	go func() {
		for f.origin.Open() == 0 {
			time.Sleep(time.Millisecond)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		ended <- f.Config.Shutdown(ctx)
	}()
	_, body, err := f.do(t, http.MethodGet, "/a.ts")
	require.NoError(t, err)
	require.Equal(t, "abcdef", string(body))
	require.NoError(t, <-ended)
}

// Whatever happens to an answer, its place is free afterwards.
// spiteful is a body whose Close does not return.
type spiteful struct {
	io.Reader
	spite func()
}

func (b spiteful) Close() error { b.spite(); return nil }

// The Close of a body is a hook like any other: a RoundTripper or ModifyResponse may have made it.
func TestAPlaceComesBackWhateverCloseDoes(t *testing.T) {
	for name, spite := range map[string]func(){
		"panic": func() { panic("a fault") }, "abort": func() { panic(http.ErrAbortHandler) }, "exit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			pool, err := origin.NewPool(origin.PoolConfig{
				Origins: []string{"http://a.example"},
				Base: roundTrip(func(r *http.Request) (*http.Response, error) {
					return &http.Response{
						StatusCode: 200, Header: http.Header{"Content-Type": {"video/mp2t"}}, ContentLength: 3, Request: r,
						Body: spiteful{strings.NewReader("abc"), spite},
					}, nil
				}),
			})
			require.NoError(t, err)
			p := &origin.Proxy{
				Upstream: func(u *url.URL) (string, error) { return "http://a.example" + u.Path, nil }, Transport: pool, MaxRequests: 1, MaxPerClient: 1,
			}
			for range 3 {
				w, done := httptest.NewRecorder(), make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/a.ts", nil))
				}()
				<-done
				require.Equal(t, 200, w.Code)
				require.Equal(t, "abc", w.Body.String())
				require.Zero(t, pool.State()[0].InFlight)
			}
		})
	}
}

func TestLimitsAreGivenBack(t *testing.T) {
	f := newFront(t, &origin.Proxy{MaxRequests: 1, MaxPerClient: 1})
	f.origin.Handle("/ok.ts", video("abc"))
	f.origin.Handle("/cut.ts", faultorigin.Script{Body: make([]byte, 1000), CutAt: 10})
	f.origin.Handle("/refused.ts", faultorigin.Script{Refuse: true})
	for range 5 {
		for _, path := range []string{"/ok.ts", "/cut.ts", "/refused.ts", "/missing.ts"} {
			// The viewer may have its answer a moment before the handler returns.
			require.Eventually(t, func() bool {
				resp, _, _ := f.do(t, http.MethodGet, path)
				return resp.StatusCode != 503
			}, time.Minute, time.Millisecond)
		}
	}
}
