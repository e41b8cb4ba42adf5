package wire

import (
	"net/url"
	"strconv"
	"strings"
)

// Origin is the scheme, host and port of an http or https URL (RFC 6454 section 4), in the one spelling by which they can be
// compared.
func Origin(u *url.URL) string {
	scheme := strings.ToLower(u.Scheme)
	return scheme + "://" + Host(scheme, u.Host)
}

// SameOrigin reports whether two http or https URLs have the same scheme, host and port.
func SameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && a.Host == b.Host || Origin(a) == Origin(b)
}

// Host is a host, with its port if there is one, in lower case and without the default port of the scheme, or an empty one.
func Host(scheme, host string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ":")
	if port := DefaultPort(scheme); port != "" {
		if name, ok := strings.CutSuffix(host, port); ok && strings.HasSuffix(name, ":") {
			return name[:len(name)-1]
		}
	}
	return host
}

// DefaultPort is the port of an http or https URL that names none (RFC 9110 section 4.2). The scheme is in lower case. It is
// empty for other schemes.
func DefaultPort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}

// ParsePort reads a port number from 1 to 65535, written as URLs write it: in digits, and without zeros in front.
func ParsePort(s string) (port uint16, ok bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && s[0] != '0'
}

// EndsInNumber reports whether browsers read a host as an IPv4 address in one of its many forms (WHATWG URL section 3.5): its
// last label is digits, or 0x and hexadecimal digits. The host is in lower case and has no final dot.
func EndsInNumber(host string) bool {
	digits := "0123456789"
	last, hex := strings.CutPrefix(host[strings.LastIndexByte(host, '.')+1:], "0x")
	if hex {
		digits += "abcdef"
	}
	return strings.Trim(last, digits) == ""
}
