package chaintest_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/stretchr/testify/require"
)

// Whatever the connection is, long and short answers from the cache are the same bytes, also beside clients that take nothing.
func TestABodyIsTheSameOnEveryConnection(t *testing.T) {
	ch := newChain(t, chainConfig{})
	body := make([]byte, 3<<20+12345)
	for i := range body {
		body[i] = byte(i ^ i>>8 ^ i>>16)
	}
	ch.origin.Handle("/seg1.ts", faultorigin.Script{
		Header: http.Header{"Content-Type": {"video/mp2t"}, "Etag": {`"1"`}, "Cache-Control": {"max-age=1000"}}, Body: body,
	})
	ranges := map[string][2]int{
		"": {0, len(body)}, "bytes=0-1": {0, 2}, "bytes=-1": {len(body) - 1, len(body)}, "bytes=262143-": {262143, len(body)},
		"bytes=524287-1048576": {524287, 1048577}, "bytes=1000000-1065535": {1000000, 1065536},
	}
	for name, start := range map[string]func(s *httptest.Server){
		"plain":  (*httptest.Server).Start,
		"TLS":    (*httptest.Server).StartTLS,
		"HTTP/2": func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() },
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(ch.Config.Handler)
			s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
				if t, ok := c.(*tls.Conn); ok {
					c = t.NetConn()
				}
				_ = c.(*net.TCPConn).SetWriteBuffer(128 << 10)
				return ctx
			}
			start(s)
			t.Cleanup(s.Close)
			client := s.Client().Transport.(*http.Transport)
			client.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 128 << 10}
			client.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, addr)
				if err == nil {
					err = c.(*net.TCPConn).SetReadBuffer(128 << 10)
				}
				return c, err
			}
			ask := func(field string) (*http.Response, error) {
				r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/live/seg1.ts", nil))
				r.Header.Set("Range", field)
				if field == "" {
					r.Header.Del("Range")
				}
				resp, err := client.RoundTrip(r)
				if err == nil && (name == "HTTP/2") != (resp.ProtoMajor == 2) {
					err = fmt.Errorf("it was %s", resp.Proto)
				}
				return resp, err
			}
			var idle []*http.Response
			for range 8 {
				resp, err := ask("")
				require.NoError(t, err)
				idle = append(idle, resp)
			}
			var wg sync.WaitGroup
			for field, want := range ranges {
				wg.Go(func() {
					resp, err := ask(field)
					if err != nil {
						t.Errorf("%q: %v", field, err)
						return
					}
					defer resp.Body.Close()
					got, err := io.ReadAll(resp.Body)
					if err != nil || string(got) != string(body[want[0]:want[1]]) {
						t.Errorf("%q: %d other bytes than the %d expected: %v", field, len(got), want[1]-want[0], err)
					}
				})
			}
			wg.Wait()
			for _, resp := range idle {
				got, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.True(t, string(got) == string(body), "one that waited got %d other bytes", len(got))
				resp.Body.Close()
			}
		})
	}
	require.Equal(t, 1, ch.origin.Requests("/seg1.ts"))
}
