package cluster_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/cluster"
	"github.com/hlsproxy/hlsproxy/internal/relay"
	"github.com/stretchr/testify/require"
)

var secret = []byte("a secret of nodes, long enough")

// node is a Node with its listener.
type node struct {
	*cluster.Node
	url    string
	server *http.Server
}

// kill ends a node as a crash does: its connections break, and it tells nobody.
func (n *node) kill() { n.server.Close() }

// start starts a node for each listener. If change is not nil, it changes the configuration of each.
func start(t *testing.T, count int, directory func(i int, urls []string) cluster.Directory, change func(i int, c *cluster.Config)) []*node {
	t.Helper()
	var (
		nodes     []*node
		urls      []string
		listeners []net.Listener
	)
	for range count {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		listeners = append(listeners, ln)
		urls = append(urls, "http://"+ln.Addr().String())
	}
	for i, ln := range listeners {
		c := cluster.Config{
			Self: urls[i], Directory: directory(i, urls), Secret: secret, Silence: 10 * time.Second, Patience: 30 * time.Second,
			Cache:     &cache.Transport{Store: cache.NewMemory(256 << 20), Idle: time.Minute},
			OnFailure: func(err error) { t.Log(err) },
			// On an overloaded machine the usual limits are too short for exact counts.
			Transport: &http.Transport{MaxIdleConnsPerHost: 64},
		}
		if change != nil {
			change(i, &c)
		}
		n, err := cluster.New(c)
		require.NoError(t, err)
		one := &node{n, urls[i], &http.Server{Handler: n.Handler()}}
		go one.server.Serve(ln)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = n.Leave(ctx)
			one.server.Close()
		})
		nodes = append(nodes, one)
	}
	return nodes
}

func static(_ int, urls []string) cluster.Directory {
	return cluster.Rendezvous(cluster.Static(urls...))
}

// counted is an origin that counts its requests.
type counted struct {
	*httptest.Server
	mu    sync.Mutex
	asked map[string]int // by method, URL and Range
	last  http.Header
}

func origin(t testing.TB, answer http.HandlerFunc) *counted {
	o := &counted{asked: map[string]int{}}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		key := r.Method + " " + r.URL.RequestURI()
		if v := r.Header.Get("Range"); v != "" {
			key += " " + v
		}
		o.asked[key]++
		o.last = r.Header.Clone()
		o.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(o.Server.Close)
	return o
}

// count is how often a path was requested, in any way.
func (o *counted) count(key string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[key]
}

func (o *counted) total() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.asked {
		n += c
	}
	return n
}

func (o *counted) header() http.Header {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

func request(t testing.TB, url string, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func do(rt http.RoundTripper, r *http.Request) (*http.Response, []byte, error) {
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func fetch(t testing.TB, rt http.RoundTripper, url string, header ...string) (*http.Response, []byte) {
	t.Helper()
	resp, body, err := do(rt, request(t, url, header...))
	require.NoError(t, err)
	return resp, body
}

// noise is n bytes that differ everywhere.
func noise(n int, seed uint64) []byte {
	rng := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	b := make([]byte, n)
	_, _ = rng.Read(b)
	return b
}

// file answers like a file server, with a body, a strong ETag and ranges.
func file(body []byte, tag string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "video/mp2t")
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	}
}

// hangsUp is an address that closes each connection at once, and counts them.
func hangsUp(t *testing.T) (addr string, dials *atomic.Int64) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	dials = new(atomic.Int64)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			dials.Add(1)
			c.Close()
		}
	}()
	return ln.Addr().String(), dials
}

// waitFor waits until holds returns true. It calls holds in the goroutine of the test, so holds may use require.
func waitFor(t *testing.T, holds func() bool, why ...any) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
		require.True(t, time.Now().Before(end), why...)
	}
}

// newRelay is a relay to an address. It can be stopped and broken.
func newRelay(t *testing.T, to string) *relay.Relay {
	t.Helper()
	r, err := relay.New(to, nil)
	require.NoError(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}
