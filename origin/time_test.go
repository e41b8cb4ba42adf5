package origin_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/firstbyte"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// trickle is a body that gives a byte at regular intervals, a number of times.
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

// shown is a body that never shows its first byte.
type shown struct{ trickleWriterTo }

func (b *shown) PeekByte() (byte, error) {
	<-b.ctx.Done()
	return 0, context.Cause(b.ctx)
}

func TestTimeLimitsHoldForAPeekInTheHook(t *testing.T) {
	for name, row := range map[string]struct {
		body func(trickle) io.ReadCloser
		took time.Duration
		code int
	}{
		"shown, never":  {func(b trickle) io.ReadCloser { return &shown{trickleWriterTo{b}} }, 10 * time.Second, 504},
		"not shown":     {func(b trickle) io.ReadCloser { return &trickleWriterTo{b} }, 0, 500},
		"only readable": {func(b trickle) io.ReadCloser { return &b }, 0, 500},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &origin.Proxy{
					Upstream: func(*url.URL) (string, error) { return "http://a.example/x.ts", nil },
					Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
						body := row.body(trickle{r.Context(), time.Second, 3, io.EOF})
						return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Request: r, Body: body}, nil
					}),
					ModifyResponse: func(r *http.Response) error {
						_, err := firstbyte.Of(r.Body)
						if errors.Is(err, errors.ErrUnsupported) {
							err = coded{500}
						}
						return err
					},
					OnFailure: func(*http.Request, error) {},
				}
				w, begun := httptest.NewRecorder(), time.Now()
				p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x.ts", nil))
				require.Equal(t, row.code, w.Code)
				require.Equal(t, row.took, time.Since(begun))
			})
		})
	}
}
