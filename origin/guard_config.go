package origin

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// GuardConfig configures a [Guard]. The zero value admits any host with a public address, on ports 80 and 443.
type GuardConfig struct {
	// Hosts are the only hosts that may be reached: "cdn.example.com", "*.example.com" (all names below it, not the name
	// itself) or an IP address, without scheme and port. Case and a final dot do not matter; write international names as
	// A-labels (xn--...). Nil: any host. Empty: none. Single labels and names below localhost, local, internal and the like
	// mean local machines. They are refused unless they are listed here. (localhost also passes if Allow covers a loopback
	// address, and a single label if Allow is not empty.) Listing a host does not admit its address: that is up to Allow.
	Hosts []string
	// Allow admits addresses that are not public, on any port unless Ports is set. Write IPv4 prefixes as such, not as
	// IPv4-mapped ones.
	Allow []netip.Prefix
	// Ports are the only ports that may be reached: "8080", a range such as "8000-8999", or "all". Nil: 80 and 443, and any
	// port of an address in Allow. Ports that attackers look for (mail, databases, remote control and the like) are not part of
	// a range or of "all"; each must be listed by itself.
	Ports []string
	// Deny are addresses that are never dialled, even if Allow covers them: public addresses of internal services, or the NAT64
	// prefix of your own network (RFC 6052 section 2.2).
	Deny []netip.Prefix
	// Self are the addresses that this service itself listens on. They are never dialled, even if Allow covers them. With an
	// unspecified address (0.0.0.0, ::), the port is refused at every address of this machine.
	Self []netip.AddrPort

	// Rarely needed:

	// Via is a proxy for all connections: http://, https:// or socks5://, with user and password if it needs them. Targets are
	// checked by name and, if they are IP addresses, by address; the proxy resolves names. The proxy itself may have any
	// address except those of Deny and Self. Nil: none. The environment is never consulted.
	Via *url.URL
	// ViaResolve resolves targets here, checks their addresses, and tells Via to connect to these.
	ViaResolve bool
	// Insecure are hosts, written as in Hosts, whose certificates are not checked. Anybody on the network path can then read
	// and change what they send. Empty: none.
	Insecure []string
	// TLS configures connections to https origins: your own roots, client certificates, oldest version, cipher suites.
	// ServerName and NextProtos are set for each connection. Nil: the defaults of package tls.
	TLS *tls.Config
	// Protocols are the enabled protocols. Nil: HTTP/1, and HTTP/2 over TLS. With UnencryptedHTTP2 and without HTTP1, requests
	// to http origins use HTTP/2 as well.
	Protocols *http.Protocols
	// Life is how long a connection is used, so that a DNS change takes effect while requests keep coming. After that, the
	// connection ends with the current answer. Zero: 60 s. Negative: no limit.
	Life time.Duration
	// Resolver finds the addresses of names. Nil: net.DefaultResolver.
	Resolver *net.Resolver
}

const defaultLife = 60 * time.Second

// NewGuard makes a Guard, or reports all faults of c.
func NewGuard(c GuardConfig) (*Guard, error) {
	g := &Guard{
		deny: c.Deny, allow: c.Allow, self: c.Self, via: c.Via, viaResolve: c.ViaResolve, life: c.Life, resolver: c.Resolver,
	}
	var faults faults
	g.hosts = faults.hosts("Hosts", c.Hosts)
	g.insecure = faults.hosts("Insecure", c.Insecure)
	faults.prefixes("Allow", c.Allow)
	faults.prefixes("Deny", c.Deny)
	g.ports = faults.ports(c.Ports)
	for _, s := range c.Self {
		if !s.IsValid() || s.Port() == 0 {
			faults.add("Self", s.String(), "is not an address with a port")
		}
	}
	if c.Via != nil {
		faults.via(c.Via)
	}
	if c.TLS != nil {
		g.tls = c.TLS.Clone()
	}
	if c.Protocols != nil {
		p := *c.Protocols
		if g.protocols = &p; !p.HTTP1() && !p.HTTP2() && !p.UnencryptedHTTP2() {
			faults.add("Protocols", p.String(), "names none")
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return g, nil
}

// faults are all faults of a configuration.
type faults []error

func (f *faults) add(field, value, reason string) {
	*f = append(*f, fmt.Errorf("origin: Guard.%s: %q %s", field, value, reason))
}

// hosts returns the patterns in their canonical form. Nil stays nil.
func (f *faults) hosts(field string, patterns []string) []string {
	if patterns == nil {
		return nil
	}
	out := make([]string, 0, len(patterns))
	for _, p := range patterns {
		name, wild := strings.CutPrefix(p, "*.")
		canonical, ok := canonicalName(name)
		a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(p, "["), "]"))
		switch {
		case err == nil && a.Zone() == "":
			out = append(out, a.Unmap().String())
		case ok && wild:
			out = append(out, "*."+canonical)
		case ok:
			out = append(out, canonical)
		case strings.Contains(p, "://"):
			f.add(field, p, "has a scheme: write the host alone")
		case isWithPort(p):
			f.add(field, p, "has a port: write the host alone, and the port in Ports")
		case strings.Contains(p, "*"):
			f.add(field, p, "is no pattern: *.example.com stands for all names below example.com, and nil for any host")
		default:
			f.add(field, p, "is neither a host name nor an IP address; names beyond ASCII are written as xn--...")
		}
	}
	return out
}

func isWithPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	return err == nil && host != "" && port != ""
}

func (f *faults) prefixes(field string, list []netip.Prefix) {
	for _, p := range list {
		switch {
		case !p.IsValid():
			f.add(field, p.String(), "is not a prefix")
		case p.Addr().Is4In6():
			f.add(field, p.String(), "is an IPv4-mapped prefix: write it as an IPv4 one")
		}
	}
}

func (f *faults) via(u *url.URL) {
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
	default:
		f.add("Via", u.Scheme, "is none of http, https and socks5")
	}
	if u.Hostname() == "" || u.Opaque != "" {
		f.add("Via", u.Redacted(), "has no host")
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		f.add("Via", u.Redacted(), "has more than a scheme, a user, a host and a port")
	}
}
