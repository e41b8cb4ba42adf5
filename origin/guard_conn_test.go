package origin_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// sloppyServer answers each request on a connection with the next raw answer; the last one stays.
type sloppyServer struct {
	addr  string
	roots *x509.CertPool // of https
	conns atomic.Int64

	mu     sync.Mutex
	script []string
	pace   time.Duration // between bytes of the header
}

func (s *sloppyServer) set(pace time.Duration, script ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script, s.pace = script, pace
}

func (s *sloppyServer) url() string {
	if s.roots != nil {
		return "https://" + s.addr
	}
	return "http://" + s.addr
}

// newSloppyServer closes a connection after an answer without a length, as such servers do.
func newSloppyServer(t *testing.T, secure bool) *sloppyServer {
	t.Helper()
	s := &sloppyServer{}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.addr = ln.Addr().String()
	if secure {
		donor := httptest.NewTLSServer(nil)
		donor.Close()
		s.roots = x509.NewCertPool()
		s.roots.AddCert(donor.Certificate())
		ln = tls.NewListener(ln, &tls.Config{Certificates: donor.TLS.Certificates})
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			wg.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return s
}

func (s *sloppyServer) serve(c net.Conn) {
	defer c.Close()
	from := bufio.NewReader(c)
	for {
		if _, err := http.ReadRequest(from); err != nil {
			return
		}
		s.mu.Lock()
		answer, pace := s.script[0], s.pace
		if len(s.script) > 1 {
			s.script = s.script[1:]
		}
		s.mu.Unlock()
		if pace == 0 {
			io.WriteString(c, answer)
		} else {
			for i := range len(answer) {
				io.WriteString(c, answer[i:i+1])
				time.Sleep(pace)
			}
		}
		if lower := strings.ToLower(answer); !strings.Contains(lower, "content-length") && !strings.Contains(lower, "chunked") {
			return
		}
	}
}

func (s *sloppyServer) transport(t *testing.T) *http.Transport {
	c := origin.GuardConfig{Allow: prefixes("127.0.0.0/8")}
	if s.roots != nil {
		c.TLS = &tls.Config{RootCAs: s.roots}
	}
	return transportOf(t, c)
}

// Answers that play directly play through: over http and https, at once or byte by byte, on a new connection and on a used one.
func TestSloppyOrigins(t *testing.T) {
	const well = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell"
	for _, secure := range []bool{false, true} {
		s := newSloppyServer(t, secure)
		p := &origin.Proxy{Upstream: func(*url.URL) (string, error) { return s.url() + "/a.ts", nil }, Transport: s.transport(t)}
		front := httptest.NewServer(p)
		defer front.Close()
		get := func() (int, string, http.Header) {
			resp, err := client(t).RoundTrip(httptest.NewRequest(http.MethodGet, front.URL+"/a.ts", nil))
			require.NoError(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			return resp.StatusCode, string(body), resp.Header
		}
		for name, answer := range map[string]string{
			"radio":               "ICY 200 OK\r\nicy-name:x\r\ncontent-type:audio/mpeg\r\n\r\nmedia",
			"no colon":            "HTTP/1.1 200 OK\r\nContent-Disposition = attachment; filename=a.ts\r\nContent-Type: audio/mpeg\r\nContent-Length: 5\r\n\r\nmedia",
			"blanks in front":     "HTTP/1.1 200 OK\r\n  X: y\r\nContent-Type: audio/mpeg\r\nContent-Length: 5\r\n\r\nmedia",
			"control characters":  "HTTP/1.1 200 OK\r\nX: a\x01\x00b\r\nContent-Type: audio/mpeg\r\nContent-Length: 5\r\n\r\nmedia",
			"status line twice":   "HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 5\r\n\r\nmedia",
			"identity":            "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Type: audio/mpeg\r\nContent-Length: 5\r\n\r\nmedia",
			"two equal lengths":   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: audio/mpeg\r\nContent-Length: 5\r\n\r\nmedia",
			"two in a line":       "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nContent-Type: audio/mpeg\r\n\r\nmedia",
			"hints first":         "HTTP/1.1 103 Early Hints\r\nNo colon\r\n\r\nHTTP/1.1 200 OK\r\nNo colon\r\nContent-Type: audio/mpeg\r\nContent-Length: 5\r\n\r\nmedia",
			"blank lines":         "HTTP/1.1 103 Early Hints\r\nNo colon\r\n\r\n\r\n\n\r\nHTTP/1.1 200 OK\nContent-Type: audio/mpeg\nContent-Length: 5\n\nmedia",
			"a long header":       "HTTP/1.1 200 OK\r\nNo colon\r\nX: " + strings.Repeat("x", 9000) + "\r\nContent-Type: audio/mpeg\r\nContent-Length: 5\r\n\r\nmedia",
			"chunked":             "HTTP/1.1 200 OK\r\nNo colon\r\nContent-Type: audio/mpeg\r\nTransfer-Encoding: identity, chunked\r\n\r\n5\r\nmedia\r\n0\r\n\r\n",
			"302 without a place": "HTTP/1.1 302 Found\r\nContent-Type: audio/mpeg\r\nContent-Length: 5\r\n\r\nmedia",
		} {
			for _, pace := range []time.Duration{0, time.Microsecond} {
				t.Run(fmt.Sprint(name, secure, pace), func(t *testing.T) {
					s.set(pace, well, answer, well)
					for _, want := range []string{"well", "media", "well"} {
						status, body, h := get()
						require.Equal(t, 200, status)
						require.Equal(t, want, body)
						if want == "media" {
							require.Equal(t, "audio/mpeg", h.Get("Content-Type"))
						}
					}
				})
			}
		}
		for name, answer := range map[string]string{
			"two lengths":      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 3\r\n\r\nmedia",
			"odd lengths":      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length : 3\r\n\r\nmedia",
			"half a header":    "HTTP/1.1 200 OK\r\nNo colon\r\nContent-Le",
			"nothing like it":  "SSH-2.0-OpenSSH_9\r\n\r\n",
			"no header":        strings.Repeat("\r\n", 200_000),
			"no end of header": "HTTP/1.1 200 OK\r\nNo colon\r\n" + strings.Repeat("X: y\r\n", 100_000),
		} {
			t.Run(fmt.Sprint(name, secure), func(t *testing.T) {
				s.set(0, answer)
				status, _, _ := get()
				require.Equal(t, 502, status)
			})
		}
	}
}

// A well-formed answer costs one look, and no copy.
func BenchmarkConn(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 1000)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "video/mp2t")
		w.Write(body)
	}))
	defer s.Close()
	plain := &http.Transport{DisableCompression: true}
	defer plain.CloseIdleConnections()
	for name, rt := range map[string]http.RoundTripper{"plain": plain, "guarded": transportOf(b, origin.GuardConfig{Allow: prefixes("127.0.0.0/8")})} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				resp, err := rt.RoundTrip(httptest.NewRequest(http.MethodGet, s.URL, nil))
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}
