package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/internal/bench/chain"
	"github.com/hlsproxy/hlsproxy/internal/bench/hammer"
)

// The roles besides the origin.
const (
	reverseProxy = "ReverseProxy"
	uncached     = "chain without cache"
	cached       = "chain"
)

// runRole runs this program as one of the servers. It prints its address and serves until it is killed.
func runRole(role string) {
	over, upstream := hammer.Over(os.Getenv("BENCH_MISS_OVER")), "http://"+os.Getenv("BENCH_MISS_ORIGIN")+"/"
	if over != hammer.Plain {
		upstream = "https" + strings.TrimPrefix(upstream, "http")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	var h http.Handler
	switch role {
	case reverseProxy:
		h = reverse(must(url.Parse(upstream)))
	case uncached:
		h = must(chain.Above(must(chain.Transport()), upstream, nil))
	case cached:
		h = must(chain.Above(must(chain.Transport()), upstream, cache.NewMemory(1<<30)))
		fill(h)
		profile(os.Getenv("BENCH_MISS_PROFILE"))
	}
	fmt.Println(l.Addr())
	if role == "origin" {
		serveOrigin(l, over)
	}
	log.Fatal(http.Serve(l, h))
}

// fill fills the cache, so that each miss evicts something.
func fill(chain http.Handler) {
	for i := range 140 {
		path := fmt.Sprintf("/%d/full-%d.ts", len(body), i)
		w := nowhere{httptest.NewRecorder()}
		if chain.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil)); w.Code != http.StatusOK {
			log.Fatalf("%s: %d %s", path, w.Code, w.Result().Header)
		}
	}
}

// nowhere keeps no body.
type nowhere struct{ *httptest.ResponseRecorder }

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

func serveOrigin(l net.Listener, over hammer.Over) {
	server := &http.Server{Handler: http.HandlerFunc(segment)}
	if over == hammer.Plain {
		log.Fatal(server.Serve(l))
	}
	certificate, _, err := hammer.Certificate()
	if err != nil {
		log.Fatal(err)
	}
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(over == hammer.TLS)
	server.Protocols.SetHTTP2(over == hammer.HTTP2)
	log.Fatal(server.ServeTLS(l, "", ""))
}

// body is a transport stream by its first bytes.
var body = bytes.Repeat(append([]byte{0x47, 0x40, 0x00, 0x10}, make([]byte, 184)...), 8<<20/188+1)[:8<<20]

// segment answers with as many bytes as the first part of the path says.
func segment(w http.ResponseWriter, r *http.Request) {
	first, _, _ := strings.Cut(r.URL.Path[1:], "/")
	size, err := strconv.Atoi(first)
	if err != nil || size < 0 || size > len(body) {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "video/mp2t")
	w.Header().Set("Content-Length", first)
	w.Header().Set("Cache-Control", "max-age=3600")
	w.Write(body[:size])
}

func reverse(to *url.URL) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &http.Transport{
			DisableCompression: true, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		},
		BufferPool: &buffers{sync.Pool{New: func() any { return new([256 << 10]byte) }}},
	}
}

type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte { return b.pool.Get().(*[256 << 10]byte)[:] }

func (b *buffers) Put(p []byte) { b.pool.Put((*[256 << 10]byte)(p)) }

// profile writes a CPU profile when this server is stopped.
func profile(file string) {
	if file == "" {
		return
	}
	f := must(os.Create(file))
	if err := pprof.StartCPUProfile(f); err != nil {
		log.Fatal(err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		pprof.StopCPUProfile()
		f.Close()
		os.Exit(0)
	}()
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
