package origin

import (
	"net/http"
	"net/url"
	"time"
)

const (
	dialLimit   = 5 * time.Second
	tlsLimit    = 5 * time.Second
	headerLimit = 60 * time.Second // for a blocking playlist reload; by default [Proxy] waits less for anything else
	headerMost  = 10 * time.Minute // whatever a handler in front allows
	headerBytes = 256 << 10
	frameBytes  = 64 << 10 // of HTTP/2: a body in frames of 16 KiB, the default, costs more; each frame is read whole, so longer ones come late
)

// Transport returns a new transport that reaches only targets that g admits: each dial is checked by name before DNS and by
// address after it. It uses no proxy from the environment, because the proxy would dial instead of the guard. A proxy set in
// its Proxy field is refused; use [GuardConfig.Via]. Dialling (DNS included) and a TLS handshake may take 5 s each. A response
// header may have 256 KiB and take 10 minutes, if the caller waits that long. The transport does not ask for compression by
// itself, and uses HTTP/2 if the server supports it. Call Transport once and share the result; idle connections end after 90 s.
//
// Over HTTP/1 it also accepts answers that players accept: the status line of a radio server (ICY 200 OK), lines without a
// colon, control characters, "Transfer-Encoding: identity". It refuses answers that give two lengths.
//
// If a connection that was idle for 5 s or more then brings nothing for 5 s, or for twice the longest time that the server has
// ever taken, it is given up, with all idle connections to that server. A GET or HEAD is then sent once more on a new
// connection. If that one is silent too, the server is slow, and has twice as long next time: a slow answer is requested twice
// once, not each time. An HTTP/1 connection that has carried a HEAD is not reused: some servers send a body for it, which could
// be taken for the next answer.
//
// Requests to an unknown https server wait up to 3 s for the handshake of the first of them. If the server supports HTTP/2,
// they share that connection.
//
// Set fields such as TLSClientConfig on the result itself, before the first request, and not on a clone.
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
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second, MaxReadFrameSize: frameBytes,
		},
	}
	if g.tls != nil {
		t.TLSClientConfig = g.tls.Clone()
	}
	t.DialTLSContext = secureDialer{g, t}.dial
	if g.via != nil {
		t.Proxy = g.proxy
	}
	if p := g.protocols; p == nil || p.HTTP2() || p.UnencryptedHTTP2() {
		multiplex(t, or(g.life, defaultLife))
	}
	return t
}

// proxy has the signature of the Proxy field of http.Transport. It is called for each request, so it sees targets that a proxy
// resolves. Only plain requests are sent to the proxy as they are; for all others the dialer makes a tunnel.
func (g *Guard) proxy(r *http.Request) (*url.URL, error) {
	if err := g.Check(r.URL); err != nil {
		return nil, err
	}
	if r.URL.Scheme == "http" && !g.tunnels() {
		return g.via, nil
	}
	return nil, nil
}

// tunnels reports whether plain requests, too, need a connection of their own to the target.
func (g *Guard) tunnels() bool {
	return g.viaResolve || g.via.Scheme != "http" && g.via.Scheme != "https"
}
