// Package faultorigin is an HTTP origin for tests that misbehaves on request: it trickles, stalls, cuts, lies about lengths,
// hangs, and counts requests for each path. It listens on 127.0.0.1 only and ends with its test.
package faultorigin

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// Request is one request as the Origin saw it.
type Request struct {
	Method, URI, Host string
	Header            http.Header
	At                time.Time
}

// Origin is a running server. All methods may be called concurrently.
type Origin struct {
	URL    string // http://127.0.0.1:PORT, no final slash
	Server *httptest.Server

	mu      sync.Mutex
	scripts map[string][]Script
	log     []Request
	open    int
	gone    chan struct{}
}

// New starts an Origin that ends with tb. Paths without a Script answer 404.
func New(tb testing.TB) *Origin {
	tb.Helper()
	o := &Origin{scripts: map[string][]Script{}, gone: make(chan struct{})}
	o.Server = httptest.NewServer(o)
	o.URL = o.Server.URL
	tb.Cleanup(o.stop)
	return o
}

func (o *Origin) stop() {
	close(o.gone)
	o.Server.CloseClientConnections()
	o.Server.Close()
}

// Handle sets the scripts of a path: the n-th request gets the n-th script, later ones get the last. path is compared with the
// escaped path of a request, without its query.
func (o *Origin) Handle(path string, scripts ...Script) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.scripts[path] = scripts
}

// Requests counts the requests for a path so far; "" counts all.
func (o *Origin) Requests(path string) int {
	n := 0
	for _, r := range o.Log() {
		if path == "" || pathOf(r.URI) == path {
			n++
		}
	}
	return n
}

// Log returns all requests so far, oldest first.
func (o *Origin) Log() []Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]Request(nil), o.log...)
}

// Open is how many requests are being answered now.
func (o *Origin) Open() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.open
}

// ServeHTTP answers by script. So an Origin can also be used behind another server (TLS, HTTP/2).
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s, ok := o.next(r)
	defer func() {
		o.mu.Lock()
		o.open--
		o.mu.Unlock()
	}()
	if !ok {
		http.NotFound(w, r)
		return
	}
	play(w, r, s, o.gone)
}

func (o *Origin) next(r *http.Request) (Script, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open++
	o.log = append(o.log, Request{r.Method, r.RequestURI, r.Host, r.Header.Clone(), time.Now()})
	path := r.URL.EscapedPath()
	left := o.scripts[path]
	if len(left) == 0 {
		return Script{}, false
	}
	if len(left) > 1 {
		o.scripts[path] = left[1:]
	}
	return left[0], true
}

func pathOf(uri string) string {
	for i := range len(uri) {
		if uri[i] == '?' {
			return uri[:i]
		}
	}
	return uri
}
