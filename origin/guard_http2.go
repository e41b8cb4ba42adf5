package origin

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// multiplexed hands HTTP/2 connections to net/http and decides how they are used. net/http alone would use a connection as long
// as requests keep coming; multiplexed ends each after its life. If a server takes few requests at a time, net/http would put
// up to a hundred on each new connection before it knows the limit, and then make a connection for each of the others, most of
// them in vain.
type multiplexed struct {
	life  time.Duration // negative: no limit
	inner http.Transport
	once  sync.Once
	h2    atomic.Pointer[http.RoundTripper] // nil: no connection so far

	firsts firsts

	mu    sync.Mutex
	peers map[string]*peer // by host and port
}

// peer is the state of one server. All but dials is guarded by multiplexed.mu.
type peer struct {
	settled chan struct{} // closed when the first request on a new connection is answered; nil: no connection is new
	fresh   time.Time     // when that connection was made
	begun   bool          // the first request was sent
	dials   chan struct{} // holds one for each connection attempt in progress
}

const (
	maxPeers     = 4096
	dialsAtATime = 4 // to one server whose connections are all full
	// settling is how long a server may take to announce its limit of requests on a new connection. Servers do so at once.
	settling = 100 * time.Millisecond
	// dialTurn is how long a request waits at most for its turn to dial: every earlier attempt has ended by then.
	dialTurn = dialLimit + tlsLimit
)

// The protocols, by their names in TLSNextProto of net/http.
const (
	overTLS = "h2"
	plain   = "unencrypted_http2"
)

// alternate has the exported field in which http.Transport looks for the HTTP/2 implementation to close.
type alternate struct{ HTTP2 *multiplexed }

func (a alternate) RoundTrip(r *http.Request) (*http.Response, error) { return a.HTTP2.RoundTrip(r) }

// multiplex makes a multiplexed manage the HTTP/2 connections of t.
func multiplex(t *http.Transport, life time.Duration) {
	m := &multiplexed{life: life, peers: map[string]*peer{}}
	t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	t.DialTLSContext = m.watch(t.DialTLSContext)
	if t.Protocols == nil || t.Protocols.HTTP2() {
		t.TLSNextProto[overTLS] = m.next(t, overTLS)
	}
	if t.Protocols != nil && t.Protocols.UnencryptedHTTP2() {
		t.TLSNextProto[plain] = m.next(t, plain)
		t.DialContext = m.watch(t.DialContext)
	}
	t.RegisterProtocol("https", alternate{m})
}

// next takes over new connections of a protocol.
func (m *multiplexed) next(t *http.Transport, protocol string) func(string, *tls.Conn) http.RoundTripper {
	return func(authority string, c *tls.Conn) http.RoundTripper {
		m.once.Do(func() { m.init(t) })
		h2 := m.inner.TLSNextProto[protocol](authority, c)
		if _, failed := h2.(interface{ RoundTripErr() error }); failed {
			m.failed(authority)
			return h2
		}
		if protocol == overTLS {
			m.h2.CompareAndSwap(nil, &h2)
		}
		m.note(authority)
		return &connection{m: m, h2: h2}
	}
}

// init copies the settings that concern HTTP/2. CloseIdleConnections makes net/http set up HTTP/2.
func (m *multiplexed) init(t *http.Transport) {
	m.inner.ResponseHeaderTimeout = t.ResponseHeaderTimeout
	m.inner.MaxResponseHeaderBytes = t.MaxResponseHeaderBytes
	m.inner.IdleConnTimeout = t.IdleConnTimeout
	m.inner.DisableCompression = t.DisableCompression
	m.inner.DisableKeepAlives = t.DisableKeepAlives
	m.inner.HTTP2 = t.HTTP2
	m.inner.CloseIdleConnections()
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// watch notices dials that fail or do not lead to HTTP/2.
func (m *multiplexed) watch(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			m.failed(address)
		} else if secure, ok := c.(*tls.Conn); !ok || secure.ConnectionState().NegotiatedProtocol != overTLS {
			m.firsts.settle(strings.ToLower(address), true)
		}
		return c, err
	}
}

// dialed lets the next connection to a server be made.
func (m *multiplexed) dialed(authority string) {
	m.mu.Lock()
	p := m.peers[strings.ToLower(authority)]
	m.mu.Unlock()
	if p != nil {
		p.dialed()
	}
}

// failed records that a dial brought no connection.
func (m *multiplexed) failed(authority string) {
	m.dialed(authority)
	m.firsts.settle(strings.ToLower(authority), false)
}

// note records a new connection.
func (m *multiplexed) note(authority string) {
	host := strings.ToLower(authority)
	m.mu.Lock()
	p := m.peers[host]
	if p == nil {
		if len(m.peers) >= maxPeers {
			clear(m.peers)
		}
		p = &peer{dials: make(chan struct{}, dialsAtATime)}
		m.peers[host] = p
	}
	if p.settled == nil {
		p.settled, p.fresh, p.begun = make(chan struct{}), time.Now(), false
	}
	m.mu.Unlock()
	m.dialed(host)
	m.firsts.settle(host, true)
}

func (m *multiplexed) peer(u *url.URL) *peer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peers[hostOf(u)]
}

// isOld reports whether a connection takes no more requests.
func (m *multiplexed) isOld(c net.Conn) bool {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	var born time.Time
	switch c := c.(type) {
	case *aged:
		born = c.born
	case *conn:
		born = c.born
	}
	return m.life > 0 && !born.IsZero() && time.Since(born) >= m.life
}

// aged is a connection that knows its age.
type aged struct {
	net.Conn
	born time.Time
}

// NetConn is for code that looks for the connection below.
func (a *aged) NetConn() net.Conn { return a.Conn }

// RoundTrip uses an existing connection. If none takes the request, http.Transport makes one.
func (m *multiplexed) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := m.firsts.wait(r.Context(), r.URL); err != nil {
		return nil, err
	}
	h2 := m.h2.Load()
	if h2 == nil {
		return nil, http.ErrSkipAltProtocol
	}
	resp, err := m.send(*h2, r, true)
	if isUncached(err) {
		return nil, http.ErrSkipAltProtocol
	}
	return resp, err
}

// CloseIdleConnections is for http.Transport.
func (m *multiplexed) CloseIdleConnections() { m.inner.CloseIdleConnections() }

// connection stands for a new connection in http.Transport.
type connection struct {
	m    *multiplexed
	h2   http.RoundTripper
	used atomic.Bool
}

// RoundTrip serves the request that the connection was made for, and requests that find it in the list of idle ones. These have
// already had their turn. If the connection is full, http.Transport searches on in its list.
func (c *connection) RoundTrip(r *http.Request) (*http.Response, error) {
	isOfList := c.used.Swap(true)
	resp, err := c.m.send(c.h2, r, !isOfList)
	if isOfList && !isUncached(err) {
		c.m.dialed(hostOf(r.URL)) // no connection is made
	}
	return resp, err
}

// isUncached reports whether the error says that all connections are full.
func isUncached(err error) bool {
	var none interface{ IsHTTP2NoCachedConnError() }
	return errors.As(err, &none)
}

// send gives a request to a connection that is not full. If there is none, it fails with an error that isUncached; if turns is
// true, it first waits for its turn to dial.
func (m *multiplexed) send(h2 http.RoundTripper, r *http.Request, turns bool) (*http.Response, error) {
	p := m.peer(r.URL)
	for n := 0; ; n++ {
		resp, err := m.sendOnce(h2, r, p, turns)
		if !errors.Is(err, errTurnedAway) || n == mostTurnedAway {
			return resp, err
		}
	}
}

func (m *multiplexed) sendOnce(h2 http.RoundTripper, r *http.Request, p *peer, turns bool) (*http.Response, error) {
	done, err := m.settle(r.Context(), p)
	if err != nil {
		return nil, err
	}
	resp, err := m.try(h2, r)
	done()
	if !isUncached(err) || p == nil || !turns {
		return resp, err
	}
	if err := p.turn(r.Context()); err != nil {
		return nil, err
	}
	if resp, err = m.try(h2, r); !isUncached(err) {
		p.dialed()
	}
	return resp, err
}

// mostTurnedAway is how often a request may be turned away by connections that are ending.
const mostTurnedAway = 16

var errTurnedAway = errors.New("origin: the connection ended before the server took the request")

// try sends a request once. net/http would wait for seconds, later for minutes, before it repeats a request that was turned
// away.
func (m *multiplexed) try(h2 http.RoundTripper, r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	sent, conns := new(http.Request), 0
	*sent = *r.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if conns++; conns == 2 && repeatable(r) { // net/http is about to repeat it
			cancel(errTurnedAway)
		}
		sent.Close = sent.Close || m.isOld(info.Conn)
	}}))
	resp, err := h2.RoundTrip(sent)
	if err != nil {
		if r.Context().Err() == nil && context.Cause(ctx) == errTurnedAway {
			err = errTurnedAway
		}
		cancel(nil)
		return nil, err
	}
	resp.Request = r
	resp.Body = &streamBody{resp.Body, cancel}
	return resp, nil
}

// streamBody is the body of an answer. It ends the context of its request.
type streamBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *streamBody) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}

// settle lets one request go first on a new connection. When that request is answered, the server has announced its limit. The
// caller must then call done.
func (m *multiplexed) settle(ctx context.Context, p *peer) (done func(), err error) {
	done = func() {}
	if p == nil {
		return done, nil
	}
	m.mu.Lock()
	settled, first := p.settled, !p.begun
	p.begun = true
	wait := time.Duration(0)
	if settled != nil {
		wait = time.Until(p.fresh.Add(settling))
	}
	m.mu.Unlock()
	switch {
	case settled != nil && first:
		return func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			p.settled = nil
			close(settled)
		}, nil
	case wait <= 0:
		return done, nil
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case <-settled:
	case <-late.C:
	case <-ctx.Done():
		return done, context.Cause(ctx)
	}
	return done, nil
}

// turn waits until a request may dial.
func (p *peer) turn(ctx context.Context) error {
	late := time.NewTimer(dialTurn)
	defer late.Stop()
	select {
	case p.dials <- struct{}{}:
	case <-late.C: // instead of a dial that never reported its end
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// dialed ends a turn.
func (p *peer) dialed() {
	select {
	case <-p.dials:
	default:
	}
}
