package origin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

const (
	dialLimit   = 5 * time.Second
	tlsLimit    = 5 * time.Second
	headerLimit = 60 * time.Second // a blocking playlist reload; [Proxy] waits less for anything else
	headerBytes = 256 << 10
)

// Transport returns a new transport that reaches only what g admits: each dial is checked by name before DNS and by
// address after it. It takes no proxy from the environment, since that would move the dial past the guard. Dialling
// (DNS included) and TLS handshakes may take 5 s each, a response header 60 s and 256 KiB. It asks for no compression
// of its own accord and speaks HTTP/2 where the server does. Call it once and share what it returns; idle connections
// end after 90 s.
func (g *Guard) Transport() *http.Transport {
	return &http.Transport{
		DialContext:            g.dial,
		TLSHandshakeTimeout:    tlsLimit,
		ResponseHeaderTimeout:  headerLimit,
		MaxResponseHeaderBytes: headerBytes,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    128,
		IdleConnTimeout:        90 * time.Second,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
		// A dead HTTP/2 connection would otherwise take every request of its host with it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
}

func (g *Guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, forbidden("address")
	}
	if err := g.checkHost(host, port); err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: dialLimit, Resolver: g.Resolver, Control: g.Control}
	conn, err := d.DialContext(ctx, network, address)
	var no *ForbiddenError
	if errors.As(err, &no) {
		return nil, no // without the address that net.OpError puts around it
	}
	return conn, err
}
