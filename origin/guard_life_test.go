package origin_test

import (
	"context"
	"io"
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

// Under load a connection is never idle, so it needs another end: after a DNS change, requests go to the new address.
func TestConnectionsHaveALongestLife(t *testing.T) {
	protocols := func(set func(*http.Protocols, bool)) *http.Protocols {
		p := new(http.Protocols)
		set(p, true)
		return p
	}
	for name, row := range map[string]struct {
		secure, h2 bool
		protocols  *http.Protocols
	}{
		"HTTP/1":             {},
		"HTTP/1 over TLS":    {secure: true},
		"HTTP/2 over TLS":    {secure: true, h2: true},
		"HTTP/2 in the open": {protocols: protocols((*http.Protocols).SetUnencryptedHTTP2)},
	} {
		t.Run(name, func(t *testing.T) {
			var conns sync.Map
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { conns.Store(r.RemoteAddr, true) }))
			s.EnableHTTP2, s.Config.Protocols = row.h2, row.protocols
			c := origin.GuardConfig{Allow: prefixes("127.0.0.0/8"), Protocols: row.protocols}
			if row.secure {
				s.StartTLS()
				c.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig
			} else {
				s.Start()
			}
			defer s.Close()
			ask := func(life time.Duration, requests int) (n int) {
				conns.Clear()
				c.Life = life
				tr := transportOf(t, c)
				for range requests {
					status, err := fetch(t, tr, s.URL)
					require.NoError(t, err)
					require.Equal(t, 200, status)
				}
				conns.Range(func(any, any) bool { n++; return true })
				return n
			}
			require.Equal(t, 1, ask(0, 30), "one for all")
			require.Equal(t, 1, ask(-1, 30), "no limit")
			require.GreaterOrEqual(t, ask(time.Nanosecond, 30), 10)
		})
	}
}

// Each of several HTTP/2 connections to one server has its end. It may answer one more request after it.
func TestEachOfSeveralConnectionsEnds(t *testing.T) {
	var conns sync.Map // how often each was used after its end
	var after atomic.Bool
	together, arrived := make(chan bool), make(chan bool)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !after.Load() {
			conns.Store(r.RemoteAddr, new(atomic.Int64))
		} else if used, ok := conns.Load(r.RemoteAddr); ok {
			used.(*atomic.Int64).Add(1)
		}
		if r.URL.Path == "/wait" {
			arrived <- true
			<-together
		}
	}))
	s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 1}
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	const life = time.Second
	tr := transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8"), Life: life, TLS: s.Client().Transport.(*http.Transport).TLSClientConfig})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			_, err := fetch(t, tr, s.URL+"/wait")
			require.NoError(t, err)
		})
		<-arrived
	}
	close(together)
	wg.Wait()
	old := 0
	conns.Range(func(any, any) bool { old++; return true })
	require.Equal(t, 4, old)
	time.Sleep(life)
	after.Store(true)
	for range 5 * old {
		_, err := fetch(t, tr, s.URL)
		require.NoError(t, err)
	}
	conns.Range(func(_, used any) bool {
		require.LessOrEqual(t, used.(*atomic.Int64).Load(), int64(1), "of the old ones")
		return true
	})
}

// A server that takes one request at a time, and few of them on one connection, gets each request once, and no more connections
// than it accepts.
func TestAServerThatTakesOneRequestAtATime(t *testing.T) {
	const requests = 50
	var asked, conns atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1)%10 == 0 {
			w.Header().Set("Connection", "close") // GOAWAY
		}
		time.Sleep(10 * time.Millisecond)
		io.WriteString(w, r.URL.Path)
	}))
	s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 1}
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = quiet()
	s.StartTLS()
	defer s.Close()
	tr := transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8"), TLS: s.Client().Transport.(*http.Transport).TLSClientConfig})
	_, err := fetch(t, tr, s.URL+"/first")
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range requests {
		wg.Go(func() {
			_, err := fetch(t, tr, s.URL)
			require.NoError(t, err)
		})
	}
	wg.Wait()
	require.EqualValues(t, requests+1, asked.Load())
	require.LessOrEqual(t, conns.Load(), int64(3*requests))
}

// An answer under way outlives the life of its connection.
func TestTheEndOfALifeCutsNothing(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		more := make(chan bool)
		s := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "one")
			if r.URL.Path == "/long" {
				w.(http.Flusher).Flush()
				<-more
			}
			io.WriteString(w, "two")
		}), h2)
		tr := transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8"), Life: time.Nanosecond, TLS: s.Client().Transport.(*http.Transport).TLSClientConfig})
		r, _ := http.NewRequest(http.MethodGet, s.URL+"/long", nil)
		long, err := tr.RoundTrip(r)
		require.NoError(t, err)
		for range 5 {
			_, err := fetch(t, tr, s.URL)
			require.NoError(t, err)
		}
		close(more)
		body, err := io.ReadAll(long.Body)
		require.NoError(t, err)
		require.Equal(t, "onetwo", string(body))
		long.Body.Close()
	}
}

// hop is a TCP relay whose connections can go silent, as those through a NAT that has forgotten them.
type hop struct {
	net.Listener
	dead  atomic.Int64 // connections up to this number are silent
	conns atomic.Int64
}

func newHop(t *testing.T, to string) *hop {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	h := &hop{Listener: ln}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			number := h.conns.Add(1)
			wg.Go(func() {
				defer c.Close()
				d, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer d.Close()
				go func() { io.Copy(c, d); c.Close() }()
				buf := make([]byte, 4096)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					if number > h.dead.Load() {
						d.Write(buf[:n])
					}
				}
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return h
}

// Twenty connections die silently. That costs one slow answer.
func TestSilentlyDeadConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten seconds")
	}
	t.Parallel()
	together := make(chan bool)
	s := newCounted(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-together
		}
		io.WriteString(w, "hello")
	})
	h := newHop(t, s.Listener.Addr().String())
	target := "http://" + h.Addr().String() + "/"
	tr := transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8")})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := fetch(t, tr, target+"wait")
			require.NoError(t, err)
		})
	}
	require.Eventually(t, func() bool { return s.requests.Load() == 20 }, time.Minute, time.Millisecond)
	close(together)
	wg.Wait()
	h.dead.Store(h.conns.Load())
	time.Sleep(5100 * time.Millisecond)
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		resp, err := tr.RoundTrip(r)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "hello", string(body))
		resp.Body.Close()
		cancel()
	}
	require.EqualValues(t, 21, h.conns.Load(), "one fresh connection served all")
}

// If a caller gives up on a dead connection, the other connections to that server are given up as well.
func TestATimeoutOnAUsedConnectionDropsTheIdleOnes(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes five seconds")
	}
	t.Parallel()
	together := make(chan bool)
	s := newCounted(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-together
		}
	})
	h := newHop(t, s.Listener.Addr().String())
	target := "http://" + h.Addr().String() + "/"
	tr := transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8")})
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() { _, _ = fetch(t, tr, target+"wait") })
	}
	require.Eventually(t, func() bool { return s.requests.Load() == 5 }, time.Minute, time.Millisecond)
	close(together)
	wg.Wait()
	h.dead.Store(h.conns.Load())
	ctx, cancel := context.WithTimeout(t.Context(), 4500*time.Millisecond) // so long after the request went out as it must be, on a loaded machine, too
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	_, err := tr.RoundTrip(r)
	require.Error(t, err)
	for range 3 {
		_, err := fetch(t, tr, target)
		require.NoError(t, err)
	}
	require.EqualValues(t, 6, h.conns.Load())
}
