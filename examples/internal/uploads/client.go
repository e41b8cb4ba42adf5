package uploads

import (
	"net/http"

	"github.com/hlsproxy/hlsproxy/internal/caller"
)

// clientOf is the network of a request's client. Behind a reverse proxy all clients are one.
func clientOf(r *http.Request) string {
	if addr := caller.Parse(r.RemoteAddr); addr.IsValid() {
		return caller.Network(addr).String()
	}
	return r.RemoteAddr
}
