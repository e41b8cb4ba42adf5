package origin_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/origin"
)

func BenchmarkCheck(b *testing.B) {
	for name, raw := range map[string]string{"name": "https://cdn.example.com/live/index.m3u8", "address": "http://8.8.8.8/x"} {
		u, _ := url.Parse(raw)
		g := new(origin.Guard)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = g.Check(u)
			}
		})
	}
}

// The cost that Control adds to each dial.
func BenchmarkControl(b *testing.B) {
	g := guardOf(b, origin.GuardConfig{Allow: prefixes("10.0.0.0/8")})
	for name, address := range map[string]string{"v4": "8.8.8.8:443", "v6": "[2606:4700:4700::1111]:443"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = g.Control("tcp", address, nil)
			}
		})
	}
}

// discardWriter is a ResponseWriter to nowhere.
type discardWriter struct{ h http.Header }

func (w *discardWriter) Header() http.Header         { return w.h }
func (w *discardWriter) WriteHeader(int)             {}
func (w *discardWriter) Write(p []byte) (int, error) { return len(p), nil }

func (w *discardWriter) Flush() {}

func (w *discardWriter) SetWriteDeadline(time.Time) error { return nil }

// The cost that Proxy adds to a body that has arrived, such as one from a cache.
func BenchmarkProxy(b *testing.B) {
	for name, size := range map[string]int{"1KB": 1 << 10, "2MB": 2 << 20} {
		body := bytes.Repeat([]byte("x"), size)
		p := &origin.Proxy{
			Upstream: func(*url.URL) (string, error) { return "http://a.example/x.ts", nil },
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				b := struct {
					io.Reader
					io.WriterTo
					io.Closer
				}{nil, bytes.NewReader(body), io.NopCloser(nil)}
				return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"video/mp2t"}}, ContentLength: int64(size), Body: b, Request: r}, nil
			}),
		}
		b.Run(name, func(b *testing.B) {
			r, _ := http.NewRequest(http.MethodGet, "/x.ts", nil)
			b.ReportAllocs()
			for b.Loop() {
				p.ServeHTTP(&discardWriter{http.Header{}}, r)
			}
		})
	}
}

func BenchmarkPool(b *testing.B) {
	n := roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	})
	p, err := origin.NewPool(origin.PoolConfig{Origins: []string{"http://a", "http://b", "http://c"}, Base: n})
	if err != nil {
		b.Fatal(err)
	}
	r, _ := http.NewRequest(http.MethodGet, "http://a/live/cam1/seg1.ts", nil)
	b.ReportAllocs()
	for b.Loop() {
		resp, err := p.RoundTrip(r)
		if err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
	}
}

// The cost that Guard adds to a bare dial: checks of names, ports and addresses.
func BenchmarkDial(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	guarded := transportOf(b, origin.GuardConfig{Allow: prefixes("127.0.0.0/8")})
	for name, dial := range map[string]func(context.Context, string, string) (net.Conn, error){
		"bare": new(net.Dialer).DialContext, "guarded": guarded.DialContext,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				c, err := dial(b.Context(), "tcp", ln.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				if below, ok := c.(interface{ NetConn() net.Conn }); ok {
					c = below.NetConn()
				}
				c.(*net.TCPConn).SetLinger(0) // there are few ports
				c.Close()
			}
		})
	}
}

// A request to a server, directly and through Proxy, Pool and Guard: the cost of the chain when nothing is cached.
func BenchmarkRequest(b *testing.B) {
	for name, size := range map[string]int{"1KB": 1 << 10, "200KB": 200 << 10} {
		body := bytes.Repeat([]byte("x"), size)
		media := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "video/mp2t")
			w.Header().Set("Content-Length", strconv.Itoa(size))
			w.Write(body)
		}))
		defer media.Close()
		base := transportOf(b, origin.GuardConfig{Allow: prefixes("127.0.0.0/8")})
		defer base.CloseIdleConnections()
		pool, err := origin.NewPool(origin.PoolConfig{Origins: []string{media.URL}, Base: base})
		if err != nil {
			b.Fatal(err)
		}
		proxy := httptest.NewServer(&origin.Proxy{
			Upstream: func(u *url.URL) (string, error) { return media.URL + u.Path, nil }, Transport: pool,
		})
		defer proxy.Close()
		for way, target := range map[string]string{"direct": media.URL, "proxied": proxy.URL} {
			b.Run(name+"/"+way, func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					resp, err := proxy.Client().Get(target + "/x.ts")
					if err != nil {
						b.Fatal(err)
					}
					if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != int64(size) {
						b.Fatal(n, err)
					}
					resp.Body.Close()
				}
			})
		}
	}
}
