package uploads

import (
	"net/http"
	"net/netip"
)

// clientOf is the address of a request's client. For IPv6 it is the whole network of 64 bits. Behind a reverse proxy all
// clients are one.
func clientOf(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	ip := at.Addr().Unmap()
	if ip.Is6() {
		return netip.PrefixFrom(ip, 64).Masked().String()
	}
	return ip.String()
}
