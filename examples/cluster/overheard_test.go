package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// wiretap stands before a node. It keeps the requests of other nodes with "held" in their URL, and passes on the rest.
type wiretap struct {
	*httptest.Server
	to   string
	mu   sync.Mutex
	held []*http.Request
}

func newWiretap(t *testing.T, to string) *wiretap {
	at, err := url.Parse(to)
	require.NoError(t, err)
	w := &wiretap{to: to}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(at) }}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.RequestURI, "held") {
			pass.ServeHTTP(rw, r)
			return
		}
		w.mu.Lock()
		w.held = append(w.held, r.Clone(t.Context()))
		w.mu.Unlock()
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(w.Close)
	return w
}

// take returns a request that was signed and kept.
func (w *wiretap) take() *http.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.held) == 0 {
		return nil
	}
	r := w.held[0]
	w.held = w.held[1:]
	return r
}

// send sends a request to the node in place of its sender, and returns the status.
func (w *wiretap) send(t *testing.T, r *http.Request, method, target string) int {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(w.to, "http://"))
	require.NoError(t, err)
	defer c.Close()
	transport := &http.Transport{
		DialContext:        func(context.Context, string, string) (net.Conn, error) { return c, nil },
		DisableCompression: true,
	}
	out, err := http.NewRequestWithContext(t.Context(), method, w.to, nil)
	require.NoError(t, err)
	path, query, _ := strings.Cut(target, "?")
	out.URL.Opaque, out.URL.RawQuery, out.Header, out.Host = path, query, r.Header.Clone(), r.Host
	resp, err := transport.RoundTrip(out)
	require.NoError(t, err)
	resp.Body.Close()
	return resp.StatusCode
}

// A request that somebody has overheard in the network of the nodes is of no use: not changed, not late, not a second time, and
// not at a node that has started again.
func TestOverheardRequestsOfNodesAreRefused(t *testing.T) {
	t.Parallel()
	o := newSource(t)
	args := []string{"-origin", o.URL, "-allow", "127.0.0.0/8", "-secret", "of the test"}
	addr := freePort(t)
	there := &node{t: t, args: append([]string{"-addr", freePort(t), "-node", addr, "-member", "http://" + addr}, args...)}
	there.start()
	t.Cleanup(there.kill)
	tap := newWiretap(t, there.self)
	addr = freePort(t)
	here := &node{t: t, args: append([]string{"-addr", freePort(t), "-node", addr, "-member", "http://" + addr, "-member", tap.URL}, args...)}
	here.start()
	t.Cleanup(here.kill)

	for i := 0; there.stats().ToNodes == 0; i++ { // this node learns of the other one
		require.Less(t, i, 1000)
		look(t, []*node{here}, fmt.Sprintf("/1000/0/a%d.ts", i), "1")
	}
	asked := 0
	overhear := func() *http.Request {
		for ; ; asked++ { // for a moment, nodes ask no node that has not answered
			require.Less(t, asked, 2000)
			look(t, []*node{here}, fmt.Sprintf("/1000/0/held%d.ts", asked), "1")
			if r := tap.take(); r != nil && r.Header.Get("Hlsproxy-Proof") != "" {
				return r
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	r, late := overhear(), overhear()
	signed := time.Now()
	before := o.count("/")
	dialled, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { dialled.Close() })
	dials := make(chan net.Conn, 1)
	go func() {
		for c, err := dialled.Accept(); err == nil; c, err = dialled.Accept() {
			dials <- c
		}
	}()
	for _, target := range []string{
		strings.Replace(r.RequestURI, "held", "other", 1), "/hlsproxy/fetch?url=http://169.254.169.254/latest/",
		"/hlsproxy/fetch?url=" + url.QueryEscape("http://"+dialled.Addr().String()+"/a.ts"), "/hlsproxy/purge?prefix=true&text=&id=1",
	} {
		require.Equal(t, http.StatusForbidden, tap.send(t, r, r.Method, target), "another target: %s", target)
	}
	require.Equal(t, http.StatusForbidden, tap.send(t, r, http.MethodHead, r.RequestURI), "another method")
	forged := r.Clone(t.Context())
	proof := []byte(forged.Header.Get("Hlsproxy-Proof"))
	proof[len(proof)/2] ^= 1
	forged.Header.Set("Hlsproxy-Proof", string(proof))
	require.Equal(t, http.StatusForbidden, tap.send(t, forged, r.Method, r.RequestURI), "another code")
	require.Equal(t, before, o.count("/"), "the origin was asked")

	require.Equal(t, http.StatusOK, tap.send(t, r, r.Method, r.RequestURI), "as it was signed")
	before = o.count("/")
	require.Equal(t, http.StatusForbidden, tap.send(t, r, r.Method, r.RequestURI), "a second time")

	time.Sleep(time.Until(signed.Add(32 * time.Second)))
	require.Equal(t, http.StatusForbidden, tap.send(t, late, late.Method, late.RequestURI), "too late")
	require.Equal(t, before, o.count("/"), "the origin was asked")

	r = overhear()
	before = o.count("/")
	there.kill()
	there.start()
	require.Equal(t, http.StatusForbidden, tap.send(t, r, r.Method, r.RequestURI), "to a node that has started again")
	require.Equal(t, before, o.count("/"), "the origin was asked")
	require.Empty(t, dials)
}
