package origin

import (
	"net/http"
	"net/url"
	"time"
)

const (
	dialLimit   = 5 * time.Second
	tlsLimit    = 5 * time.Second
	headerLimit = 60 * time.Second // a blocking playlist reload; [Proxy] waits less for anything else by default
	headerMost  = 10 * time.Minute // whatever anybody in front says
	headerBytes = 256 << 10
)

// Transport returns a new transport that reaches only what g admits: each dial is checked by name before DNS and by address
// after it. It takes no proxy from the environment, since that would move the dial past the guard; one set by hand in its Proxy
// field is refused, as [GuardConfig.Via] is the field for it. Dialling (DNS included) and TLS handshakes may take 5 s each, a
// response header 10 minutes, if whoever asks waits so long, and 256 KiB. It asks for no compression of its own accord and
// speaks HTTP/2 where the server does. Call it once and share what it returns; idle connections end after 90 s.
//
// Over HTTP/1 it reads what players take for an answer as well: a status line of a radio server (ICY 200 OK), lines
// without a colon, control characters, "Transfer-Encoding: identity". What says two things about its length is refused.
//
// A connection that was idle for 5 s or more and then brings nothing for 5 s, or for twice as long as the server has ever
// taken, is given up, with all idle ones to that server, and a GET or HEAD goes out once more on a fresh one. If that one is as
// silent, the server is slow: next time it has twice as long, so a slow answer is asked for twice once, and not each time. A
// connection of HTTP/1 that has carried a HEAD is not used again: some servers send a body for it, which could be taken for the
// next answer.
//
// Requests to an https server of which nothing is known wait up to 3 s for the handshake of the first of them: where it speaks
// HTTP/2 they share that connection.
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
	if p := g.protocols; p == nil || p.HTTP2() || p.UnencryptedHTTP2() {
		multiplex(t, or(g.life, defaultLife))
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
