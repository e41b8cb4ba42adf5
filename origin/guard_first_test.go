package origin_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// hurdle is a listener that treats the first connections differently.
type hurdle struct {
	net.Listener
	conns atomic.Int64
	first int64
	does  func(net.Conn)
}

func (h *hurdle) Accept() (net.Conn, error) {
	for {
		c, err := h.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if h.conns.Add(1) > h.first {
			return c, nil
		}
		h.does(c)
	}
}

// The first requests to an unknown server come all at once. Over HTTP/2 they share the connection of the first; over HTTP/1
// each has its own. If the first connection fails, the others do not wait for ever.
func TestTheFirstBurst(t *testing.T) {
	t.Parallel()
	const requests = 40
	hang := func(c net.Conn) { time.AfterFunc(30*time.Second, func() { c.Close() }) }
	refuse := func(c net.Conn) { c.Close() }
	for name, row := range map[string]struct {
		h2    bool
		first int64 // connections that fail
		does  func(net.Conn)
		most  int64 // connections; 0: as many as there are requests
	}{
		"HTTP/2":                      {h2: true, most: requests / 4},
		"HTTP/1":                      {},
		"HTTP/2, the first refused":   {h2: true, first: 1, does: refuse},
		"HTTP/1, the first refused":   {first: 1, does: refuse},
		"HTTP/2, the first is silent": {h2: true, first: 1, does: hang},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewUnstartedServer(http.HandlerFunc(hello))
			h := &hurdle{Listener: s.Listener, first: row.first, does: row.does}
			s.Listener, s.EnableHTTP2, s.Config.ErrorLog = h, row.h2, quiet()
			s.StartTLS()
			defer s.Close()
			tr := transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8"), TLS: s.Client().Transport.(*http.Transport).TLSClientConfig})
			var wg sync.WaitGroup
			var failed atomic.Int64
			for range requests {
				wg.Go(func() {
					if _, err := fetch(t, tr, s.URL); err != nil {
						failed.Add(1)
					}
				})
			}
			wg.Wait()
			require.LessOrEqual(t, failed.Load(), row.first)
			require.LessOrEqual(t, h.conns.Load(), requests+row.first)
			if row.most > 0 {
				require.LessOrEqual(t, h.conns.Load(), row.most)
			}
			_, err := fetch(t, tr, s.URL)
			require.NoError(t, err)
		})
	}
}

// A request that waits for the first connection of another may be cancelled.
func TestLeavingTheFirstBurst(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	tr := transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8")})
	url := "https://" + ln.Addr().String() + "/"
	first, leave := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	ask := func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		require.NoError(t, err)
		_, err = tr.RoundTrip(r)
		return err
	}
	wg.Go(func() { require.ErrorIs(t, ask(first), context.Canceled) })
	c, err := ln.Accept()
	require.NoError(t, err)
	defer c.Close()
	second, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	require.ErrorIs(t, ask(second), context.Canceled)
	leave()
	wg.Wait()
}
