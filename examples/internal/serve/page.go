package serve

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// PageHeader is for pages with links or forms: no other page can show them in a frame, no cache keeps them, and their links
// send no Referer. more is the rest of the content security policy; empty: there is none.
func PageHeader(w http.ResponseWriter, more string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", strings.TrimPrefix(more+"; frame-ancestors 'none'", "; "))
}

// OnLoopback admits requests that name this server by a loopback address. With DNS rebinding, another page's name leads here,
// and its requests count as same-origin: only that name gives it away.
func OnLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !IsLoopback(r.Host) {
			http.Error(w, "This address is served on loopback only.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// IsLoopback reports whether HOST or HOST:PORT is localhost or a loopback address.
func IsLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}
