package origin

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Guard decides which upstream servers may be reached. The zero value admits any host that is at a public address, on
// ports 80 and 443. It is checked twice: by name, in [Guard.Check] and again where the transport dials, and by address,
// in [Guard.Control], for every new connection and after DNS. What is decided there is what the kernel connects to, so
// that neither a redirect nor a second DNS answer can lead past it, and a connection that is used again still ends
// where it was admitted.
//
// The fields must not change after first use. All methods may be called concurrently.
type Guard struct {
	// Hosts are the only hosts that may be reached, whatever their addresses: "cdn.example.com", "*.example.com" (all
	// names below it, not the name itself) or an IP address; what has a scheme or a port matches nothing. Case and a
	// final dot do not matter; write international names as A-labels (xn--...). Nil: any host. A name below localhost,
	// local, internal and the like, or of a single label, means something near and is refused unless it is named here
	// (localhost also passes when Allow covers a loopback address, and a single label when Allow is not empty). Naming a
	// host does not admit its address.
	Hosts []string
	// Allow admits addresses that are not public, on any port unless Ports is set. IPv4 prefixes are written as such,
	// not as IPv4-mapped ones.
	Allow []netip.Prefix
	// Ports are the only ones that may be reached. Nil: 80 and 443, and any port of an address in Allow.
	Ports []uint16
	// Deny are addresses that are never dialled, Allow or not: public addresses of internal services, or the NAT64
	// prefix of the own network (RFC 6052 section 2.2).
	Deny []netip.Prefix
	// Self are the addresses that this service itself listens on, never dialled, Allow or not. With an unspecified
	// address (0.0.0.0, ::) the port is refused at every address of this machine.
	Self []netip.AddrPort
	// Resolver finds the addresses of names. Nil: net.DefaultResolver.
	Resolver *net.Resolver
}

// Check decides on a URL before anything is sent: scheme http or https, no user info, a host that is a canonical IP
// address or a plain DNS name, and the rules on names, ports and, for an IP address, addresses. Every error is a
// [*ForbiddenError]. A nil error means that the name may be tried; the address still is up to [Guard.Control].
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

// splitHost takes the one reading of a host that every parser shares, or none.
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
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return host, port, nil
}

// checkHost is Check where the URL is no longer known: before a name is resolved.
func (g *Guard) checkHost(host, port string) error {
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 || port[0] == '0' || port[0] == '+' {
		return forbidden("port")
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if a.String() != strings.ToLower(host) || a.Is4In6() {
			return forbidden("address not in its canonical form")
		}
		if g.Hosts != nil && !named(g.Hosts, a.String()) {
			return forbidden("host not listed")
		}
		return g.checkAddr(netip.AddrPortFrom(a, uint16(number)))
	}
	name, ok := canonicalName(host)
	if !ok {
		return forbidden("host name")
	}
	if err := g.checkName(name); err != nil {
		return err
	}
	if !g.portOpen(uint16(number)) && (g.Ports != nil || len(g.Allow) == 0) {
		return forbidden("port")
	}
	return nil
}

func (g *Guard) checkName(name string) error {
	if g.Hosts != nil {
		if !named(g.Hosts, name) {
			return forbidden("host not listed")
		}
		return nil
	}
	switch {
	case under(name, localNames):
		return forbidden("name that is not public")
	case under(name, loopbackNames):
		if !slices.ContainsFunc(g.Allow, coversLoopback) {
			return forbidden("name that is not public")
		}
	case !strings.Contains(name, ".") && len(g.Allow) == 0:
		return forbidden("name that is not public")
	}
	return nil
}

func coversLoopback(p netip.Prefix) bool {
	return p.Overlaps(loopback4) || p.Overlaps(loopback6)
}

// Control has the signature of the Control field of [net.Dialer]: it sees the address that is about to be dialled,
// after DNS. Use it there to guard a dialer of your own. It admits TCP only. Every error is a [*ForbiddenError].
func (g *Guard) Control(network, address string, _ syscall.RawConn) error {
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return forbidden("network")
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return forbidden("address")
	}
	return g.checkAddr(ap)
}

// checkAddr is the last word.
func (g *Guard) checkAddr(ap netip.AddrPort) error {
	a, port := ap.Addr().Unmap(), ap.Port()
	if a.Zone() != "" {
		return forbidden("address with a zone (RFC 4007)")
	}
	if contains(g.Deny, a) {
		return forbidden("address denied")
	}
	if g.isSelf(netip.AddrPortFrom(a, port)) {
		return forbidden("own address")
	}
	allowed := contains(g.Allow, a)
	if why := special(a); why != "" && !allowed {
		return forbidden(why)
	}
	if port == 0 || !g.portOpen(port) && (g.Ports != nil || !allowed) {
		return forbidden("port")
	}
	return nil
}

func (g *Guard) portOpen(port uint16) bool {
	if g.Ports == nil {
		return port == 80 || port == 443
	}
	return slices.Contains(g.Ports, port)
}

// isSelf asks for the addresses of this machine each time, since they come and go; it does so for listed ports only.
func (g *Guard) isSelf(ap netip.AddrPort) bool {
	for _, self := range g.Self {
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
		return true // what cannot be told apart is not dialled
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
