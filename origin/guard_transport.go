package origin

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	dialLimit   = 5 * time.Second
	tlsLimit    = 5 * time.Second
	headerLimit = 60 * time.Second // a blocking playlist reload; [Proxy] waits less for anything else by default
	headerMost  = 10 * time.Minute // whatever anybody in front says
	headerBytes = 256 << 10
)

// Transport returns a new transport that reaches only what g admits: each dial is checked by name before DNS and by
// address after it. It takes no proxy from the environment, since that would move the dial past the guard; one set by hand
// in its Proxy field is refused, as [GuardConfig.Via] is the field for it. Dialling (DNS included) and TLS handshakes may
// take 5 s each, a response header 10 minutes, if whoever asks waits so long, and 256 KiB. It asks for no compression of its own accord and speaks HTTP/2 where
// the server does. Call it once and share what it returns; idle connections end after 90 s.
//
// Over HTTP/1 it reads what players take for an answer as well: a status line of a radio server (ICY 200 OK), lines
// without a colon, control characters, "Transfer-Encoding: identity". What says two things about its length is refused.
//
// A connection that was idle for 5 s or more and then brings nothing for 3 s is given up, with all idle ones to that
// server, and a GET or HEAD goes out once more on a fresh one.
//
// Set its fields, TLSClientConfig among them, on what Transport returns, before the first request, and not on a clone.
func (g *Guard) Transport() *http.Transport {
	t := &http.Transport{
		DialContext:            g.dialContext,
		TLSHandshakeTimeout:    tlsLimit,
		ResponseHeaderTimeout:  headerMost,
		MaxResponseHeaderBytes: headerBytes,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    128,
		IdleConnTimeout:        90 * time.Second,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
		Protocols:              g.protocols,
		// A dead HTTP/2 connection would otherwise take every request of its host with it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
	if g.tls != nil {
		t.TLSClientConfig = g.tls.Clone()
	}
	t.DialTLSContext = secureDialer{g, t}.dial
	if g.via != nil {
		t.Proxy = g.proxy
	}
	if g.protocols == nil || g.protocols.HTTP2() && !g.protocols.UnencryptedHTTP2() {
		renew(t, or(g.life, defaultLife))
	}
	return t
}

// proxy has the signature of the field of http.Transport. It is asked for each request, so it sees targets that a proxy
// resolves. Only plain requests are given to the proxy as they are; for all others the dialer makes a tunnel.
func (g *Guard) proxy(r *http.Request) (*url.URL, error) {
	if err := g.Check(r.URL); err != nil {
		return nil, err
	}
	if r.URL.Scheme == "http" && !g.tunnels() {
		return g.via, nil
	}
	return nil, nil
}

// tunnels reports that plain requests, too, need a connection of their own to the target.
func (g *Guard) tunnels() bool {
	return g.viaResolve || g.via.Scheme != "http" && g.via.Scheme != "https"
}

// multiplexed hands HTTP/2 connections to net/http, which would use one for as long as requests keep coming, and ends them
// after their life: a request then tells its connection to take no more.
type multiplexed struct {
	life  time.Duration // negative: no limit
	inner http.Transport
	once  sync.Once
	h2    atomic.Pointer[http.RoundTripper] // nil: there was no HTTP/2 connection yet

	mu   sync.Mutex
	born map[string]time.Time // of the last connection to each host
}

// alternate has the one exported field by which http.Transport finds an implementation of HTTP/2 to close.
type alternate struct{ HTTP2 *multiplexed }

func (a alternate) RoundTrip(r *http.Request) (*http.Response, error) { return a.HTTP2.RoundTrip(r) }

// maxBorn is how many hosts are kept in mind.
const maxBorn = 4096

// renew gives the HTTP/2 connections of t a longest life.
func renew(t *http.Transport, life time.Duration) {
	m := &multiplexed{life: life, born: map[string]time.Time{}}
	t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{"h2": func(authority string, c *tls.Conn) http.RoundTripper {
		m.once.Do(func() { m.init(t) })
		h2 := m.inner.TLSNextProto["h2"](authority, c)
		m.h2.CompareAndSwap(nil, &h2)
		m.note(authority)
		return h2
	}}
	t.RegisterProtocol("https", alternate{m})
}

// init takes over what matters to HTTP/2. Closing what is not there is what makes net/http set HTTP/2 up.
func (m *multiplexed) init(t *http.Transport) {
	m.inner.ResponseHeaderTimeout = t.ResponseHeaderTimeout
	m.inner.MaxResponseHeaderBytes = t.MaxResponseHeaderBytes
	m.inner.IdleConnTimeout = t.IdleConnTimeout
	m.inner.DisableCompression = t.DisableCompression
	m.inner.DisableKeepAlives = t.DisableKeepAlives
	m.inner.HTTP2 = t.HTTP2
	m.inner.CloseIdleConnections()
}

func (m *multiplexed) note(authority string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.born) >= maxBorn {
		clear(m.born) // those that are forgotten live until they are idle
	}
	m.born[strings.ToLower(authority)] = time.Now()
}

// expired reports, once, that a host's connection is to take no more requests.
func (m *multiplexed) expired(u *url.URL) bool {
	if m.life < 0 {
		return false
	}
	host := hostOf(u)
	m.mu.Lock()
	defer m.mu.Unlock()
	born, known := m.born[host]
	if !known || time.Since(born) < m.life {
		return false
	}
	delete(m.born, host)
	return true
}

// RoundTrip uses the connections that are there. Where there is none, t makes one.
func (m *multiplexed) RoundTrip(r *http.Request) (*http.Response, error) {
	h2 := m.h2.Load()
	if h2 == nil {
		return nil, http.ErrSkipAltProtocol
	}
	sent := r
	if m.expired(r.URL) {
		sent = r.WithContext(r.Context())
		sent.Close = true
	}
	resp, err := (*h2).RoundTrip(sent)
	var none interface{ IsHTTP2NoCachedConnError() }
	if errors.As(err, &none) {
		return nil, http.ErrSkipAltProtocol
	}
	if resp != nil {
		resp.Request = r
	}
	return resp, err
}

// CloseIdleConnections is for http.Transport.
func (m *multiplexed) CloseIdleConnections() { m.inner.CloseIdleConnections() }
