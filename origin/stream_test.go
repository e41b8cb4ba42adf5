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
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

func TestABrokenBodyNeverEndsCleanly(t *testing.T) {
	f := newFront(t, &origin.Proxy{Idle: 200 * time.Millisecond})
	body := bytes.Repeat([]byte("0123456789"), 20_000)
	h := http.Header{"Content-Type": {"video/mp2t"}}
	raw := func(head string) faultorigin.Script { return faultorigin.Script{Raw: []byte(head)} }
	for name, script := range map[string]faultorigin.Script{
		"reset":                      {Header: h, Body: body, CutAt: 100_000},
		"reset, chunked":             {Header: h, Body: body, CutAt: 100_000, Chunked: true},
		"stalls":                     {Header: h, Body: body, StallAt: 100_000},
		"stalls, chunked":            {Header: h, Body: body, StallAt: 100_000, Chunked: true},
		"shorter than it said":       raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc"),
		"last chunk missing":         raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
		"chunk cut":                  raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc"),
		"chunk size is no number":    raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n"),
		"206 shorter than its range": raw("HTTP/1.1 206 Partial Content\r\nContent-Length: 10\r\nContent-Range: bytes 0-9/100\r\n\r\nabc"),
	} {
		t.Run(name, func(t *testing.T) {
			f.origin.Handle("/a.ts", script)
			header := []string{}
			if strings.HasPrefix(name, "206") {
				header = []string{"Range", "bytes=0-9"}
			}
			_, got, err := f.do(t, http.MethodGet, "/a.ts", header...)
			require.Error(t, err, "%d bytes came to a clean end", len(got))
			require.NotContains(t, string(got), "unexpected")
			require.NotContains(t, string(got), "127.0.0.1")
		})
	}
}

func TestFramingFaultsAtTheHeader(t *testing.T) {
	f := newFront(t, &origin.Proxy{Wait: 500 * time.Millisecond})
	for name, row := range map[string]struct {
		script faultorigin.Script
		status int
		body   string
	}{
		"closed before the header":    {faultorigin.Script{Refuse: true}, 502, ""},
		"half a header":               {faultorigin.Script{Raw: []byte("HTTP/1.1 200 OK\r\nContent-Le")}, 502, ""},
		"no HTTP":                     {faultorigin.Script{Raw: []byte("SSH-2.0-OpenSSH_9\r\n")}, 502, ""},
		"two lengths":                 {faultorigin.Script{Raw: []byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde")}, 502, ""},
		"length and chunked":          {faultorigin.Script{Raw: []byte("HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")}, 200, "abc"},
		"more bytes than it said":     {faultorigin.Script{Raw: []byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef")}, 200, "abc"},
		"until the connection closes": {faultorigin.Script{Raw: []byte("HTTP/1.0 200 OK\r\n\r\nabc")}, 200, "abc"},
		"negative length":             {faultorigin.Script{Raw: []byte("HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc")}, 502, ""},
		"never answers":               {faultorigin.Script{Hang: true}, 504, ""},
		"switches protocols":          {faultorigin.Script{Raw: []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")}, 502, ""},
		"endless header": {faultorigin.Script{Func: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(conn, "X-A: "+strings.Repeat("b", 1000)+"\r\n"); err != nil {
					return
				}
			}
		})}, 502, ""},
		"endless informational answers": {faultorigin.Script{Func: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			for {
				if _, err := io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\nX: "+strings.Repeat("b", 1000)+"\r\n\r\n"); err != nil {
					return
				}
			}
		})}, 502, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f.origin.Handle("/a.ts", row.script)
			resp, body := f.get(t, "/a.ts")
			require.Equal(t, row.status, resp.StatusCode)
			if row.status == 200 {
				require.Equal(t, row.body, body)
			} else {
				require.Equal(t, http.StatusText(row.status)+"\n", body)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ln.Close()
	p := &origin.Proxy{
		Upstream:  func(*url.URL) (string, error) { return "http://" + ln.Addr().String(), nil },
		Transport: transportOf(t, &origin.Guard{Allow: prefixes("127.0.0.1/32")}),
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x.ts", nil))
	require.Equal(t, 502, w.Code)
	require.NotContains(t, w.Body.String(), "127.0.0.1")
}

// An HTTP-FLV or HTTP-TS stream has no end, and what is sent must arrive before the next bytes do.
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
	case <-time.After(5 * time.Second):
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
	require.Eventually(t, func() bool { return f.origin.Open() == 0 }, 5*time.Second, time.Millisecond)
}

// A viewer who takes nothing is let go, and the request upstream with it.
func TestAViewerWhoStandsStill(t *testing.T) {
	f := newFront(t, &origin.Proxy{Stall: 200 * time.Millisecond})
	f.origin.Handle("/a.ts", faultorigin.Script{Body: bytes.Repeat([]byte("x"), 1<<20), Chunked: true, Loop: true})
	conn, err := net.Dial("tcp", f.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	fmt.Fprintf(conn, "GET /a.ts HTTP/1.1\r\nHost: x\r\n\r\n")
	require.Eventually(t, func() bool { return f.origin.Open() == 1 }, 5*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { return f.origin.Open() == 0 }, 10*time.Second, 10*time.Millisecond)
}

// trickle is a body that gives a byte every so often, a number of times.
type trickle struct {
	ctx   context.Context
	every time.Duration
	left  int
	end   error
}

func (b *trickle) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, b.end
	}
	select {
	case <-time.After(b.every):
		b.left--
		p[0] = 'x'
		return 1, nil
	case <-b.ctx.Done():
		return 0, context.Cause(b.ctx)
	}
}

func (b *trickle) Close() error { return nil }

type trickleWriterTo struct{ trickle }

func (b *trickleWriterTo) WriteTo(w io.Writer) (n int64, err error) {
	for p := []byte{0}; ; n++ {
		if _, err := b.Read(p); err != nil {
			if err == io.EOF {
				err = nil
			}
			return n, err
		}
		if _, err := w.Write(p); err != nil {
			return n, err
		}
		if rw, ok := w.(http.ResponseWriter); ok {
			http.NewResponseController(rw).Flush()
		}
	}
}

// timed answers after a while with a body that trickles, on the clock of a bubble.
type timed struct {
	header, every time.Duration
	bytes         int
	end           error
	writerTo      bool
}

func (s timed) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(s.header):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	b := trickle{r.Context(), s.every, s.bytes, s.end}
	resp := &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Request: r, Body: &b}
	if s.writerTo {
		resp.Body = &trickleWriterTo{b}
	}
	return resp, nil
}

func TestTimeLimits(t *testing.T) {
	const second = time.Second
	dead := errors.New("reset")
	for name, row := range map[string]struct {
		url    string
		proxy  *origin.Proxy
		timed  timed
		status int
		aborts bool
		took   time.Duration
	}{
		"header in time":               {timed: timed{header: 9 * second, end: io.EOF}, status: 200, took: 9 * second},
		"header too late":              {timed: timed{header: 11 * second}, status: 504, took: 10 * second},
		"header too late, own limit":   {proxy: &origin.Proxy{Wait: second}, timed: timed{header: 2 * second}, status: 504, took: second},
		"header late, no limit":        {proxy: &origin.Proxy{Wait: -1}, timed: timed{header: 1000 * second, end: io.EOF}, status: 200, took: 1000 * second},
		"blocking reload":              {url: "?a&_HLS_msn=4&_HLS_part=1", timed: timed{header: 50 * second, end: io.EOF}, status: 200, took: 50 * second},
		"blocking reload, too late":    {url: "?_HLS_msn=4", timed: timed{header: 61 * second}, status: 504, took: 60 * second},
		"not quite a blocking reload":  {url: "?x_HLS_msn=4", timed: timed{header: 50 * second}, status: 504, took: 10 * second},
		"slow for hours":               {timed: timed{every: 9 * second, bytes: 1000, end: io.EOF}, status: 200, took: 9000 * second},
		"slow for hours, WriterTo":     {timed: timed{every: 9 * second, bytes: 1000, end: io.EOF, writerTo: true}, status: 200, took: 9000 * second},
		"pause in the body":            {timed: timed{every: 11 * second, bytes: 3, end: io.EOF}, status: 200, aborts: true, took: 10 * second},
		"pause in the body, WriterTo":  {timed: timed{every: 11 * second, bytes: 3, end: io.EOF, writerTo: true}, status: 200, aborts: true, took: 10 * second},
		"pause in the body, own limit": {proxy: &origin.Proxy{Idle: second}, timed: timed{every: 2 * second, bytes: 3}, status: 200, aborts: true, took: second},
		"pause in the body, no limit":  {proxy: &origin.Proxy{Idle: -1}, timed: timed{every: 1000 * second, bytes: 3, end: io.EOF}, status: 200, took: 3000 * second},
		"broken":                       {timed: timed{every: second, bytes: 3, end: dead}, status: 200, aborts: true, took: 3 * second},
		"broken, WriterTo":             {timed: timed{every: second, bytes: 3, end: dead, writerTo: true}, status: 200, aborts: true, took: 3 * second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := row.proxy
				if p == nil {
					p = &origin.Proxy{}
				}
				p.Upstream = func(*url.URL) (string, error) { return "http://a.example/x.ts" + row.url, nil }
				p.Transport = row.timed
				w := httptest.NewRecorder()
				begun := time.Now()
				aborted := aborts(func() { p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x.ts", nil)) })
				require.Equal(t, row.aborts, aborted)
				require.Equal(t, row.status, w.Code)
				require.Equal(t, row.took, time.Since(begun))
				if !row.aborts && row.status == 200 {
					require.Equal(t, row.timed.bytes, w.Body.Len())
				}
			})
		})
	}
}

// The hook reads a playlist whole, under the same limits.
func TestTimeLimitsHoldInTheHook(t *testing.T) {
	for name, row := range map[string]struct {
		timed timed
		took  time.Duration
	}{
		"pause":           {timed{every: 11 * time.Second, bytes: 3}, 10 * time.Second},
		"drips for hours": {timed{every: time.Second, bytes: 100_000}, 60 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &origin.Proxy{
					Upstream:  func(*url.URL) (string, error) { return "http://a.example/x.m3u8", nil },
					Transport: row.timed,
					ModifyResponse: func(r *http.Response) error {
						_, err := io.ReadAll(r.Body)
						return err
					},
				}
				w := httptest.NewRecorder()
				begun := time.Now()
				p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x.m3u8", nil))
				require.Equal(t, 504, w.Code)
				require.Equal(t, row.took, time.Since(begun))
			})
		})
	}
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

// writes records how a body arrives.
type writes struct {
	httptest.ResponseRecorder
	mu    sync.Mutex
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
	require.Equal(t, []int{256 << 10, 256 << 10, 256 << 10, 1_000_000 - 3*256<<10}, w.sizes)
	require.Equal(t, body, w.Body.Bytes())
	require.Equal(t, "1000000", w.Header().Get("Content-Length"))

	w = &writes{ResponseRecorder: *httptest.NewRecorder(), fail: errors.New("served")}
	require.False(t, aborts(func() { p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x.ts", nil)) }),
		"whoever refuses the rest knows why")
}

func TestLimitsOfRequests(t *testing.T) {
	for name, p := range map[string]*origin.Proxy{
		"all": {MaxRequests: 2}, "per client": {MaxPerClient: 2}, "both": {MaxRequests: 3, MaxPerClient: 2},
		"by name": {MaxPerClient: 2, Client: func(*http.Request) string { return "one" }},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, p)
			f.origin.Handle("/slow.ts", faultorigin.Script{Hang: true})
			f.origin.Handle("/a.ts", video("abc"))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			tr := client(t)
			for range 2 {
				go func() {
					r, _ := http.NewRequestWithContext(ctx, http.MethodGet, f.URL+"/slow.ts", nil)
					if resp, err := tr.RoundTrip(r); err == nil {
						resp.Body.Close()
					}
				}()
			}
			require.Eventually(t, func() bool { return f.origin.Open() == 2 }, 5*time.Second, time.Millisecond)
			for range 5 {
				resp, _ := f.get(t, "/a.ts")
				require.Equal(t, 503, resp.StatusCode)
				require.Equal(t, "1", resp.Header.Get("Retry-After"))
			}
			require.Zero(t, f.origin.Requests("/a.ts"))
			cancel()
			require.Eventually(t, func() bool {
				resp, _ := f.get(t, "/a.ts")
				return resp.StatusCode == 200
			}, 5*time.Second, time.Millisecond)
		})
	}
}

func TestClientsAreToldApart(t *testing.T) {
	p := &origin.Proxy{
		MaxPerClient: 1,
		Upstream:     func(*url.URL) (string, error) { return "http://a.example/x.ts", nil },
	}
	inner := 0
	var nested func(remote string) int
	next := ""
	p.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if inner++; inner == 1 {
			return nil, coded{nested(next)}
		}
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	})
	nested = func(remote string) int {
		r := httptest.NewRequest(http.MethodGet, "/x.ts", nil)
		r.RemoteAddr = remote
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		return w.Code
	}
	for _, row := range []struct {
		first, second string
		same          bool
	}{
		{"192.0.2.1:1", "192.0.2.1:2", true}, {"192.0.2.1:1", "192.0.2.2:1", false},
		{"[2001:db8::1]:1", "[2001:db8::ffff:1]:1", true}, {"[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
		{"[fe80::1%a]:1", "[fe80::2%b]:1", true}, {"pipe", "pipe", true}, {"pipe", "other", false},
	} {
		inner, next = 0, row.second
		code := nested(row.first)
		require.Equal(t, map[bool]int{true: 503, false: 502}[row.same], code, row) // 502: what a code of 200 comes to
	}
}

// A pause upstream is no fault of the viewer's, over HTTP/2 neither, where deadlines pass without a write.
func TestAPauseUpstreamDoesNotCutTheViewer(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		f := newFront(t, &origin.Proxy{Stall: 100 * time.Millisecond})
		f.origin.Handle("/a.ts", faultorigin.Script{Body: []byte("abcdef"), Chunked: true, Step: 2, Every: 300 * time.Millisecond})
		s := httptest.NewUnstartedServer(f.proxy)
		s.EnableHTTP2 = h2
		s.StartTLS()
		t.Cleanup(s.Close)
		resp, err := s.Client().Get(s.URL + "/a.ts")
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, h2, resp.ProtoMajor == 2)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "abcdef", string(body))
	}
}
