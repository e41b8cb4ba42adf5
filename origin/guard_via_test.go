package origin_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// outbound is an HTTP and SOCKS5 proxy with one target. It connects there, whatever name it gets.
type outbound struct {
	target   string // HOST:PORT
	user     string // "user:password"; empty: anybody
	listener net.Listener

	mu  sync.Mutex
	log []string // the requested targets
}

func newOutbound(t *testing.T, target, user string) *outbound {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	o := &outbound{target: target, user: user, listener: ln}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { o.serve(c) })
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return o
}

func (o *outbound) url(t *testing.T, scheme string) *url.URL {
	t.Helper()
	u := &url.URL{Scheme: scheme, Host: o.listener.Addr().String()}
	if user, password, found := strings.Cut(o.user, ":"); found {
		u.User = url.UserPassword(user, password)
	}
	return u
}

func (o *outbound) note(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.log = append(o.log, fmt.Sprintf(format, args...))
}

func (o *outbound) take() (log []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	log, o.log = o.log, nil
	return log
}

func (o *outbound) serve(c net.Conn) {
	defer c.Close()
	from := bufio.NewReader(c)
	first, err := from.Peek(1)
	if err != nil {
		return
	}
	if first[0] == 5 {
		o.socks(c, from)
		return
	}
	for {
		r, err := http.ReadRequest(from)
		if err != nil {
			return
		}
		o.note("%s %s", r.Method, r.RequestURI)
		if want := "Basic " + base64.StdEncoding.EncodeToString([]byte(o.user)); o.user != "" && r.Header.Get("Proxy-Authorization") != want {
			io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
			continue
		}
		if r.Method == http.MethodConnect {
			io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
			o.join(c, from)
			return
		}
		out, err := http.NewRequest(r.Method, "http://"+o.target+r.URL.RequestURI(), nil)
		if err != nil {
			return
		}
		resp, err := http.DefaultTransport.RoundTrip(out)
		if err != nil {
			return
		}
		resp.Write(c)
		resp.Body.Close()
	}
}

func (o *outbound) socks(c net.Conn, from *bufio.Reader) {
	head := make([]byte, 2)
	io.ReadFull(from, head)
	methods := make([]byte, head[1])
	io.ReadFull(from, methods)
	if o.user == "" {
		c.Write([]byte{5, 0})
	} else {
		c.Write([]byte{5, 2})
		login := make([]byte, 3+len(o.user)-1)
		io.ReadFull(from, login)
		user, password, _ := strings.Cut(o.user, ":")
		if string(login) != "\x01"+string(rune(len(user)))+user+string(rune(len(password)))+password {
			c.Write([]byte{1, 1})
			return
		}
		c.Write([]byte{1, 0})
	}
	ask := make([]byte, 4)
	io.ReadFull(from, ask)
	host := ""
	switch ask[3] {
	case 1, 4:
		a := make([]byte, map[byte]int{1: 4, 4: 16}[ask[3]])
		io.ReadFull(from, a)
		host = net.IP(a).String()
	case 3:
		n, _ := from.ReadByte()
		name := make([]byte, n)
		io.ReadFull(from, name)
		host = string(name)
	}
	port := make([]byte, 2)
	io.ReadFull(from, port)
	o.note("SOCKS %s:%d", host, binary.BigEndian.Uint16(port))
	c.Write([]byte{5, 0, 0, 3, 4, 'b', 'a', 'c', 'k', 0, 1})
	o.join(c, from)
}

func (o *outbound) join(c net.Conn, from *bufio.Reader) {
	to, err := net.Dial("tcp", o.target)
	if err != nil {
		return
	}
	defer to.Close()
	go func() { io.Copy(to, from); to.Close() }()
	io.Copy(c, to)
}

func TestVia(t *testing.T) {
	plain := newCounted(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "plain") })
	secure := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "secure") }), true)
	roots := secure.Client().Transport.(*http.Transport).TLSClientConfig
	_, resolver := newNameServer(t, map[string][][]string{"tv.example": {{"8.8.8.8"}}, "inside.example": {{"10.0.0.1"}}})
	for _, scheme := range []string{"http", "socks5"} {
		for _, user := range []string{"", "user:pass word"} {
			for _, resolve := range []bool{false, true} {
				t.Run(fmt.Sprint(scheme, user, resolve), func(t *testing.T) {
					get := func(o *outbound, target string, c origin.GuardConfig) (string, error) {
						c.Hosts, c.Via, c.ViaResolve, c.Resolver = []string{"tv.example", "*.tv.example", "inside.example"}, o.url(t, scheme), resolve, resolver
						c.TLS = &tls.Config{RootCAs: roots.RootCAs}
						r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
						require.NoError(t, err)
						resp, err := transportOf(t, c).RoundTrip(r)
						if err != nil {
							return "", err
						}
						defer resp.Body.Close()
						body, err := io.ReadAll(resp.Body)
						return string(body), err
					}
					p, s := newOutbound(t, plain.Listener.Addr().String(), user), newOutbound(t, secure.Listener.Addr().String(), user)
					body, err := get(p, "http://tv.example/a.ts", origin.GuardConfig{})
					require.NoError(t, err)
					require.Equal(t, "plain", body)
					asked := map[string]string{
						"httpfalse": "GET http://tv.example/a.ts", "httptrue": "CONNECT 8.8.8.8:80", "socks5false": "SOCKS tv.example:80", "socks5true": "SOCKS 8.8.8.8:80",
					}[fmt.Sprint(scheme, resolve)]
					require.Equal(t, []string{asked}, p.take())

					_, err = get(s, "https://tv.example/a.ts", origin.GuardConfig{})
					require.ErrorContains(t, err, "certificate is valid for example.com")
					body, err = get(s, "https://tv.example/a.ts", origin.GuardConfig{Insecure: []string{"tv.example"}})
					require.NoError(t, err)
					require.Equal(t, "secure", body)
					s.take()

					for _, target := range []string{"http://10.0.0.1/", "https://10.0.0.1/", "http://other.example/", "https://other.example/", "http://tv.example:22/", "http://" + p.listener.Addr().String() + "/", "https://" + p.listener.Addr().String() + "/"} {
						_, err = get(p, target, origin.GuardConfig{})
						requireForbidden(t, err, target)
					}
					if resolve {
						for _, target := range []string{"http://inside.example/", "https://inside.example/"} {
							_, err = get(p, target, origin.GuardConfig{})
							requireForbidden(t, err, target)
						}
					}
					_, err = get(p, "http://tv.example/", origin.GuardConfig{Deny: prefixes("127.0.0.0/8")})
					requireForbidden(t, err, "the proxy itself")
					require.Empty(t, p.take())
				})
			}
		}
	}
}

func TestAProxyThatRefuses(t *testing.T) {
	for _, scheme := range []string{"http", "socks5"} {
		o := newOutbound(t, "127.0.0.1:1", "user:password")
		u := o.url(t, scheme)
		u.User = url.UserPassword("user", "wrongwrong")
		_, err := fetch(t, transportOf(t, origin.GuardConfig{Via: u}), "https://tv.example/")
		require.ErrorContains(t, err, "Guard.Via")
		require.NotContains(t, err.Error(), "wrongwrong")
	}
}

// A proxy that is set by hand would bypass the guard. It is refused, whether or not its own address is allowed, and in clones.
func TestAProxySetByHandIsRefused(t *testing.T) {
	target := newCounted(t, "127.0.0.1:0", hello)
	for _, scheme := range []string{"http", "socks5"} {
		for _, raw := range []string{"http://10.0.0.1/x.m3u8", "https://10.0.0.1/x.m3u8", "http://tv.example/", "https://tv.example/"} {
			for _, clone := range []bool{false, true} {
				for _, via := range []bool{false, true} {
					o := newOutbound(t, target.Listener.Addr().String(), "")
					c := origin.GuardConfig{Hosts: []string{"tv.example", "127.0.0.1"}, Allow: prefixes("127.0.0.0/8")}
					if via {
						c.Via = newOutbound(t, o.listener.Addr().String(), "").url(t, scheme)
					}
					tr := transportOf(t, c)
					if clone {
						tr = tr.Clone()
						t.Cleanup(tr.CloseIdleConnections)
					}
					tr.Proxy = http.ProxyURL(o.url(t, scheme))
					_, err := fetch(t, tr, raw)
					require.Error(t, err, "%s %s %v %v", scheme, raw, clone, via)
					require.Empty(t, o.take(), "%s %s %v %v", scheme, raw, clone, via)
				}
			}
		}
	}
	require.Zero(t, target.requests.Load())
}

func TestInsecureHosts(t *testing.T) {
	s := serveTLS(t, http.HandlerFunc(hello), true)
	_, resolver := newNameServer(t, map[string][][]string{"a.tv.example": {{"127.0.0.1"}}, "b.example": {{"127.0.0.1"}}})
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	c := origin.GuardConfig{Allow: prefixes("127.0.0.0/8"), Resolver: resolver, Insecure: []string{"*.tv.example"}}
	status, err := fetch(t, transportOf(t, c), "https://a.tv.example:"+port+"/")
	require.NoError(t, err)
	require.Equal(t, 200, status)
	for _, host := range []string{"b.example", "127.0.0.1"} {
		_, err = fetch(t, transportOf(t, c), "https://"+host+":"+port+"/")
		require.ErrorContains(t, err, "certificate")
	}
}

func TestProtocols(t *testing.T) {
	proto := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })
	secure := serveTLS(t, proto, true)
	var plain http.Protocols
	plain.SetHTTP1(true)
	plain.SetUnencryptedHTTP2(true)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: proto, Protocols: &plain}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
	protocols := func(set ...func(*http.Protocols, bool)) *http.Protocols {
		p := new(http.Protocols)
		for _, s := range set {
			s(p, true)
		}
		return p
	}
	one, two, clear := (*http.Protocols).SetHTTP1, (*http.Protocols).SetHTTP2, (*http.Protocols).SetUnencryptedHTTP2
	for name, row := range map[string]struct {
		protocols     *http.Protocols
		plain, secure string
	}{
		"default":   {nil, "HTTP/1.1", "HTTP/2.0"},
		"HTTP/1":    {protocols(one), "HTTP/1.1", "HTTP/1.1"},
		"both":      {protocols(one, two), "HTTP/1.1", "HTTP/2.0"},
		"clear":     {protocols(clear), "HTTP/2.0", ""},
		"clear, h2": {protocols(clear, two), "HTTP/2.0", "HTTP/2.0"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8"), Protocols: row.protocols, TLS: secure.Client().Transport.(*http.Transport).TLSClientConfig})
			for target, want := range map[string]string{"http://" + ln.Addr().String(): row.plain, secure.URL: row.secure} {
				if want == "" {
					continue
				}
				for range 2 {
					r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, target, nil)
					resp, err := tr.RoundTrip(r)
					require.NoError(t, err)
					body, err := io.ReadAll(resp.Body)
					require.NoError(t, err)
					resp.Body.Close()
					require.Equal(t, want, string(body))
				}
			}
		})
	}
}
