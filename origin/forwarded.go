package origin

import (
	"net/http"
	"net/netip"
	"strings"
)

// forward adds the client of a connection to what the request says of those before it (RFC 7239 section 4).
func forward(h http.Header, remote string) {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return // a connection without an address, such as a Unix socket
	}
	a := ap.Addr().Unmap().WithZone("")
	node := a.String()
	if a.Is6() {
		node = `"[` + node + `]"`
	}
	extend(h, "Forwarded", "for="+node)
	extend(h, "X-Forwarded-For", a.String())
}

func extend(h http.Header, name, value string) {
	if before := strings.Join(h[name], ", "); before != "" {
		value = before + ", " + value
	}
	h[name] = []string{value}
}
