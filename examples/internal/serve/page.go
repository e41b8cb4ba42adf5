package serve

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// PageHeader is for pages that hold links or forms: no frame of another page shows them, no cache keeps them, and links
// do not tell where they were. More is the rest of the content security policy; empty: there is none.
func PageHeader(w http.ResponseWriter, more string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", strings.TrimPrefix(more+"; frame-ancestors 'none'", "; "))
}

// OnLoopback admits requests that name this server by a loopback address. A page elsewhere whose name was made to lead
// here (DNS rebinding) counts as of the same origin, and only that name gives it away.
func OnLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !IsLoopback(r.Host) {
			http.Error(w, "This address is served on loopback only.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// IsLoopback tells whether HOST or HOST:PORT is localhost or a loopback address.
func IsLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}
