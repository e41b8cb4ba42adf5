package origin

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// Guard decides which upstream servers may be reached. The zero value is the Guard of a zero [GuardConfig]. A target is checked
// twice: by name, in [Guard.Check] and again when the transport dials, and by address, in [Guard.Control], for every new
// connection and after DNS. The kernel connects to exactly the address that was checked, so neither a redirect nor a second DNS
// answer can get past it. A reused connection still ends at the server that was admitted.
//
// All methods may be called concurrently. A Guard must not be copied.
type Guard struct {
	hosts      []string // nil: any
	insecure   []string
	allow      []netip.Prefix
	deny       []netip.Prefix
	ports      *ports
	self       []netip.AddrPort
	via        *url.URL
	viaResolve bool
	tls        *tls.Config
	protocols  *http.Protocols
	life       time.Duration
	resolver   *net.Resolver

	mu       sync.Mutex
	upstream map[string]*upstream // by dialled address, while there are connections
}

// Check decides on a URL before anything is sent: scheme http or https, no user info, a host that is a canonical IP address or
// a plain DNS name, and the rules on names, ports and, for an IP address, addresses. Every error is a [*ForbiddenError]. Nil
// means that the name may be tried; [Guard.Control] still decides on the address.
func (g *Guard) Check(u *url.URL) error {
	switch {
	case u == nil || u.Host == "" || u.Opaque != "":
		return forbidden("no host")
	case u.Scheme != "http" && u.Scheme != "https":
		return forbidden("scheme")
	case u.User != nil:
		return forbidden("user info")
	case hasControl(u.RawQuery):
		return forbidden("control character")
	}
	host, port, err := splitHost(u)
	if err != nil {
		return err
	}
	return g.checkHost(host, port)
}

// splitHost accepts a host only if every parser reads it in the same way.
func splitHost(u *url.URL) (host, port string, err error) {
	host, port = u.Host, ""
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return "", "", forbidden("host")
		}
		if _, err := netip.ParseAddr(host[1:end]); err != nil || !strings.Contains(host[1:end], ":") {
			return "", "", forbidden("host")
		}
		host, port = host[1:end], host[end+1:]
		if port != "" && port[0] != ':' {
			return "", "", forbidden("host")
		}
		port = strings.TrimPrefix(port, ":")
	} else {
		host, port, _ = strings.Cut(host, ":")
	}
	if port == "" {
		port = defaultPort(u.Scheme)
	}
	return host, port, nil
}

func defaultPort(scheme string) string {
	if scheme == "socks5" || scheme == "socks5h" {
		return "1080"
	}
	return wire.DefaultPort(scheme)
}

// checkHost is Check for a name that is about to be resolved, when the URL is no longer known.
func (g *Guard) checkHost(host, port string) error {
	number, ok := wire.ParsePort(port)
	if !ok {
		return forbidden("port")
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if a.String() != strings.ToLower(host) || a.Is4In6() {
			return forbidden("address not in its canonical form")
		}
		if g.hosts != nil && !named(g.hosts, a.String()) {
			return notListed(host)
		}
		return g.checkAddr(netip.AddrPortFrom(a, number))
	}
	name, ok := canonicalName(host)
	if !ok {
		return forbidden("host name")
	}
	if err := g.checkName(name); err != nil {
		return err
	}
	if !g.ports.open(number) && (g.ports != nil || len(g.allow) == 0) {
		return g.ports.refusal(number)
	}
	return nil
}

func notListed(host string) error {
	return &ForbiddenError{Reason: "host is not in Guard.Hosts", Detail: fmt.Sprintf("host %q is not in Guard.Hosts", host)}
}

func (g *Guard) checkName(name string) error {
	if g.hosts != nil {
		if !named(g.hosts, name) {
			return notListed(name)
		}
		return nil
	}
	near := false
	switch {
	case under(name, localNames):
		near = true
	case under(name, loopbackNames):
		near = !slices.ContainsFunc(g.allow, coversLoopback)
	case !strings.Contains(name, "."):
		near = len(g.allow) == 0
	}
	if near {
		return &ForbiddenError{Reason: "name that is not public", Detail: fmt.Sprintf("host %q is not a public name, so it must be in Guard.Hosts", name)}
	}
	return nil
}

func coversLoopback(p netip.Prefix) bool {
	return p.Overlaps(loopback4) || p.Overlaps(loopback6)
}

// Control has the signature of the Control field of [net.Dialer]: it gets the address that is about to be dialled, after DNS.
// Use it to guard a dialer of your own. It admits only TCP. Every error is a [*ForbiddenError].
func (g *Guard) Control(network, address string, _ syscall.RawConn) error {
	ap, err := tcpAddress(network, address)
	if err != nil {
		return err
	}
	return g.checkAddr(ap)
}

func tcpAddress(network, address string) (netip.AddrPort, error) {
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return netip.AddrPort{}, forbidden("network")
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return netip.AddrPort{}, forbidden("address")
	}
	return ap, nil
}

// controlVia is Control for the proxy of the configuration, which may have a private address.
func (g *Guard) controlVia(network, address string, _ syscall.RawConn) error {
	ap, err := tcpAddress(network, address)
	if err != nil {
		return err
	}
	return g.checkOwn(netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
}

// checkAddr makes the final decision.
func (g *Guard) checkAddr(ap netip.AddrPort) error {
	a, port := ap.Addr().Unmap(), ap.Port()
	if a.Zone() != "" {
		return forbidden("address with a zone (RFC 4007)")
	}
	if err := g.checkOwn(netip.AddrPortFrom(a, port)); err != nil {
		return err
	}
	allowed := contains(g.allow, a)
	if why := special(a); why != "" && !allowed {
		return &ForbiddenError{Reason: why, Detail: fmt.Sprintf("%s is a %s and not in Guard.Allow", a, why)}
	}
	if port == 0 || !g.ports.open(port) && (g.ports != nil || !allowed) {
		return g.ports.refusal(port)
	}
	return nil
}

// checkOwn refuses addresses of Deny and Self.
func (g *Guard) checkOwn(ap netip.AddrPort) error {
	if contains(g.deny, ap.Addr()) {
		return &ForbiddenError{Reason: "address denied", Detail: fmt.Sprintf("%s is in Guard.Deny", ap.Addr())}
	}
	if g.isSelf(ap) {
		return &ForbiddenError{Reason: "own address", Detail: fmt.Sprintf("%s is in Guard.Self", ap)}
	}
	return nil
}

// isSelf asks the system for the addresses of this machine each time, because they change. It does so only for listed ports.
func (g *Guard) isSelf(ap netip.AddrPort) bool {
	for _, self := range g.self {
		if self.Port() != ap.Port() {
			continue
		}
		if a := self.Addr().Unmap(); a == ap.Addr() || a.IsUnspecified() && isOwn(ap.Addr()) {
			return true
		}
	}
	return false
}

func isOwn(a netip.Addr) bool {
	if a.IsLoopback() || a.IsUnspecified() {
		return true
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return true // if in doubt, do not dial
	}
	return slices.ContainsFunc(own, func(n net.Addr) bool {
		p, err := netip.ParsePrefix(n.String())
		return err == nil && p.Addr().Unmap() == a
	})
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f })
}

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
