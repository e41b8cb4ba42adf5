package sign

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/caller"
)

// ClientPrefix returns Config.Claims that bind a link to the network of the client: the first v4 bits of an IPv4 address or the
// first v6 bits of an IPv6 one; a number that is out of range means all of them. Mobile clients change address, and have IPv6
// and IPv4 at once: 24 and 48 are usual, and a page and its media should be reached by one family.
//
// The address is that of the connection. If that is a trusted proxy, X-Forwarded-For is read from its end, up to the first
// address that is not a trusted proxy. Anyone can write the part before that.
func ClientPrefix(v4, v6 int, trusted ...netip.Prefix) func(*http.Request) string {
	return func(r *http.Request) string {
		addr := caller.Addr(r, trusted)
		bits := v6
		if addr.Is4() {
			bits = v4
		}
		if bits < 0 || bits > addr.BitLen() {
			bits = addr.BitLen()
		}
		if p, err := addr.Prefix(bits); err == nil && p.IsValid() {
			return p.String()
		}
		return "unknown"
	}
}

// UserAgent is Config.Claims that bind a link to the program that requested it.
func UserAgent(r *http.Request) string { return r.UserAgent() }

// AllOf returns Config.Claims that bind a link to all of several.
func AllOf(claims ...func(*http.Request) string) func(*http.Request) string {
	return func(r *http.Request) string {
		var out strings.Builder
		for _, c := range claims {
			v := c(r)
			// With their lengths, no two different lists of claims read the same.
			out.WriteString(strconv.Itoa(len(v)) + ":" + v)
		}
		return out.String()
	}
}
