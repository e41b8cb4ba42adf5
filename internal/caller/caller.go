// Package caller finds the client of a request, also behind proxies.
package caller

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Addr is the address of the client of a request. It is that of the connection, unless this is a trusted proxy. Then
// X-Forwarded-For is read from its end, up to the first address that is not a trusted proxy: anyone can write the part before
// that. The result is the zero Addr if a trusted proxy names no address.
func Addr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	addr := Parse(r.RemoteAddr)
	if !isOneOf(addr, trusted) {
		return addr
	}
	lines := r.Header["X-Forwarded-For"]
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			cut := strings.LastIndexByte(rest, ',')
			hop := strings.Trim(rest[cut+1:], " \t")
			more = cut >= 0
			rest = rest[:max(cut, 0)]
			if hop == "" && i == 0 && !more {
				return addr // an empty field
			}
			if addr = Parse(hop); !isOneOf(addr, trusted) {
				return addr
			}
		}
	}
	return addr
}

func isOneOf(addr netip.Addr, prefixes []netip.Prefix) bool {
	return len(prefixes) > 0 && slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Parse reads an IP address with or without a port, and without its zone. An IPv4 address that is mapped to IPv6 counts as IPv4.
// It returns the zero Addr if s is none.
func Parse(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	if inside, ok := strings.CutPrefix(s, "["); ok {
		s = strings.TrimSuffix(inside, "]")
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// Network is the part of an address that identifies a client: an IPv4 address, or the first 64 bits of an IPv6 one. A client
// may have 2^64 IPv6 addresses.
func Network(addr netip.Addr) netip.Addr {
	if !addr.Is6() {
		return addr
	}
	p, err := addr.Prefix(64)
	if err != nil {
		return addr
	}
	return p.Addr()
}

// Name names the other end of a connection: by its network, or by the host of a listener that has other addresses. All that one
// client opens has one name.
func Name(r *http.Request) string {
	if addr := Parse(r.RemoteAddr); addr.IsValid() {
		return Network(addr).String()
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}
