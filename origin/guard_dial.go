package origin

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// serverNameKey is where a pool says which name an origin has that is reached by its address.
type serverNameKey struct{}

func serverNameOf(ctx context.Context) string {
	name, _ := ctx.Value(serverNameKey{}).(string)
	return name
}

// dialContext is the dialer of a transport.
func (g *Guard) dialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, proxied, err := g.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return g.watch(conn, address, proxied), nil
}

// connect makes a connection to an address, through Via if there is one. It is proxied if it ends at the proxy.
func (g *Guard) connect(ctx context.Context, network, address string) (conn net.Conn, proxied bool, err error) {
	if g.via != nil && address == hostOf(g.via) && !g.tunnels() {
		conn, err = g.dialVia(ctx, network)
		return conn, true, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, false, forbidden("address")
	}
	if err := g.checkHost(host, port); err != nil {
		return nil, false, err
	}
	if g.via != nil {
		conn, err = g.tunnel(ctx, network, host, port)
		return conn, false, err
	}
	conn, err = g.dialChecked(ctx, network, address, g.Control)
	return conn, false, err
}

func (g *Guard) dialChecked(ctx context.Context, network, address string, check func(string, string, syscall.RawConn) error) (net.Conn, error) {
	d := net.Dialer{Timeout: dialLimit, Resolver: g.resolver, Control: check}
	conn, err := d.DialContext(ctx, network, address)
	var no *ForbiddenError
	if errors.As(err, &no) {
		return nil, no // without the address that net.OpError puts around it
	}
	return conn, err
}

// dialVia makes a connection to the proxy.
func (g *Guard) dialVia(ctx context.Context, network string) (net.Conn, error) {
	conn, err := g.dialChecked(ctx, network, hostOf(g.via), g.controlVia)
	if err != nil || g.via.Scheme != "https" {
		return conn, err
	}
	c := g.tlsConfig(nil, g.via.Hostname())
	c.NextProtos = []string{"http/1.1"}
	return handshake(ctx, tls.Client(conn, c), tlsLimit)
}

// resolve finds an address of a host that may be reached.
func (g *Guard) resolve(ctx context.Context, host string, port uint16) (string, error) {
	if _, err := netip.ParseAddr(host); err == nil {
		return host, nil
	}
	resolver := g.resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	list, err := resolver.LookupNetIP(ctx, "ip", host)
	for _, a := range list {
		if err = g.checkAddr(netip.AddrPortFrom(a, port)); err == nil {
			return a.Unmap().String(), nil
		}
	}
	return "", err
}

// secureDialer makes connections to https servers.
type secureDialer struct {
	guard     *Guard
	transport *http.Transport
}

func (d secureDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	g, t := d.guard, d.transport
	conn, proxied, err := g.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if proxied && g.via.Scheme == "https" {
		return g.watch(conn, address, true), nil // it speaks TLS with the proxy
	}
	host, _, _ := net.SplitHostPort(address)
	c := g.tlsConfig(t.TLSClientConfig, host)
	if name := serverNameOf(ctx); name != "" {
		c.ServerName = name
	}
	c.NextProtos = nextProtos(t)
	secure, err := handshake(ctx, tls.Client(conn, c), t.TLSHandshakeTimeout)
	if err != nil {
		return nil, err
	}
	if secure.ConnectionState().NegotiatedProtocol == "h2" {
		return secure, nil
	}
	return g.watch(secure, address, proxied), nil
}

func nextProtos(t *http.Transport) (list []string) {
	if t.TLSNextProto["h2"] != nil {
		list = append(list, "h2")
	}
	if t.Protocols == nil || t.Protocols.HTTP1() {
		list = append(list, "http/1.1")
	}
	return list
}

// tlsConfig is that of one connection.
func (g *Guard) tlsConfig(base *tls.Config, host string) *tls.Config {
	if base == nil {
		base = g.tls
	}
	c := base.Clone()
	if c == nil {
		c = new(tls.Config)
	}
	if c.ServerName == "" {
		c.ServerName = host
	}
	if len(g.insecure) > 0 {
		if name, ok := canonicalName(host); ok && named(g.insecure, name) || named(g.insecure, host) {
			c.InsecureSkipVerify = true
		}
	}
	return c
}

func handshake(ctx context.Context, conn *tls.Conn, limit time.Duration) (*tls.Conn, error) {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, errHandshake)
		defer cancel()
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		conn.Close()
		if cause := context.Cause(ctx); cause == errHandshake {
			err = cause
		}
		return nil, err
	}
	return conn, nil
}

const errHandshake = slowError("TLS handshake took too long")

func portNumber(port string) uint16 {
	n, _ := strconv.ParseUint(port, 10, 16)
	return uint16(n)
}
