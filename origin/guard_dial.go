package origin

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// serverNameKey is the context key for the name of an origin that a pool reaches by its address.
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

// connect makes a connection to an address, through Via if there is one. proxied: it ends at the proxy.
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
		return nil, no // without net.OpError, which shows the address
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

// resolve finds an admitted address of a host.
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
		return g.watch(conn, address, true), nil // the connection uses TLS with the proxy
	}
	host, _, _ := net.SplitHostPort(address)
	c := g.tlsConfig(t.TLSClientConfig, host)
	if name := serverNameOf(ctx); name != "" {
		c.ServerName = name
	}
	c.NextProtos = nextProtos(t)
	secure, err := handshake(ctx, tls.Client(&aged{conn, time.Now()}, c), t.TLSHandshakeTimeout)
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

// tlsConfig is the configuration of one connection.
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

// tunnel makes a connection to a target through Via.
func (g *Guard) tunnel(ctx context.Context, network, host, port string) (net.Conn, error) {
	if g.viaResolve {
		address, err := g.resolve(ctx, host, portNumber(port))
		if err != nil {
			return nil, err
		}
		host = address
	}
	conn, err := g.dialVia(ctx, network)
	if err != nil {
		return nil, err
	}
	// The context ends waits for the proxy.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	_ = conn.SetDeadline(time.Now().Add(dialLimit))
	if g.via.Scheme == "http" || g.via.Scheme == "https" {
		err = g.connectTo(conn, net.JoinHostPort(host, port))
	} else {
		err = g.socks(conn, host, portNumber(port))
	}
	if !stop() || err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("origin: no way through Guard.Via: %w", err)
	}
	return conn, conn.SetDeadline(time.Time{})
}

// connectTo asks an HTTP proxy for a tunnel (RFC 9110 section 9.3.6).
func (g *Guard) connectTo(conn net.Conn, target string) error {
	ask := "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n"
	if u := g.via.User; u != nil {
		password, _ := u.Password()
		ask += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)) + "\r\n"
	}
	if _, err := io.WriteString(conn, ask+"\r\n"); err != nil {
		return err
	}
	from := bufio.NewReader(io.LimitReader(conn, 16<<10))
	resp, err := http.ReadResponse(from, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the proxy says %d", resp.StatusCode)
	}
	if from.Buffered() > 0 {
		return errors.New("the proxy says more than it was asked")
	}
	return nil
}

// socks asks a SOCKS5 proxy for a tunnel (RFC 1928, and RFC 1929 for the password).
func (g *Guard) socks(conn net.Conn, host string, port uint16) error {
	user, password := "", ""
	if u := g.via.User; u != nil {
		user = u.Username()
		password, _ = u.Password()
	}
	if len(user) > 255 || len(password) > 255 || len(host) > 255 {
		return errors.New("too long a name for SOCKS5")
	}
	methods := []byte{5, 1, 0}
	if user != "" {
		methods = []byte{5, 2, 0, 2}
	}
	var answer [4]byte
	if err := exchange(conn, methods, answer[:2]); err != nil {
		return err
	}
	switch {
	case answer[0] != 5:
		return errors.New("the proxy does not speak SOCKS5")
	case answer[1] == 2 && user != "":
		login := append(append(append([]byte{1, byte(len(user))}, user...), byte(len(password))), password...)
		if err := exchange(conn, login, answer[:2]); err != nil {
			return err
		}
		if answer[1] != 0 {
			return errors.New("the proxy refuses the password")
		}
	case answer[1] != 0:
		return errors.New("the proxy wants another way to log in")
	}
	ask := append(append([]byte{5, 1, 0, 3, byte(len(host))}, host...), byte(port>>8), byte(port))
	if a, err := netip.ParseAddr(host); err == nil {
		kind := byte(1)
		if a.Is6() {
			kind = 4
		}
		ask = append(append([]byte{5, 1, 0, kind}, a.AsSlice()...), byte(port>>8), byte(port))
	}
	if err := exchange(conn, ask, answer[:4]); err != nil {
		return err
	}
	if answer[1] != 0 {
		return fmt.Errorf("the proxy says %d", answer[1])
	}
	return skipBound(conn, answer[3])
}

// skipBound skips the address from which the proxy connects.
func skipBound(conn net.Conn, kind byte) error {
	n := 0
	switch kind {
	case 1:
		n = net.IPv4len
	case 4:
		n = net.IPv6len
	case 3:
		var length [1]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return err
		}
		n = int(length[0])
	default:
		return errors.New("the proxy does not speak SOCKS5")
	}
	_, err := io.CopyN(io.Discard, conn, int64(n)+2)
	return err
}

func exchange(conn net.Conn, ask, answer []byte) error {
	if _, err := conn.Write(ask); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, answer)
	return err
}

// watch puts a conn around a connection to an address.
func (g *Guard) watch(c net.Conn, address string, proxied bool) net.Conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	u := g.upstream[address]
	if u == nil {
		if g.upstream == nil {
			g.upstream = map[string]*upstream{}
		}
		u = new(upstream)
		g.upstream[address] = u
	}
	u.conns++
	now := time.Now()
	return &conn{Conn: c, guard: g, address: address, upstream: u, generation: u.generation.Load(), proxied: proxied, born: now, used: now}
}

func (g *Guard) forget(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	u := g.upstream[address]
	if u == nil {
		return
	}
	if u.conns--; u.conns > 0 {
		return
	}
	if len(g.upstream) > mostUpstreams {
		maps.DeleteFunc(g.upstream, func(_ string, u *upstream) bool { return u.conns == 0 })
	} else if 2*time.Duration(u.slowest.Load()) <= silentLong && !u.asksAgain.Load() {
		delete(g.upstream, address) // it has nothing to tell a new connection
	}
}
