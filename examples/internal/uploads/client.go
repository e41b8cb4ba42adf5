package uploads

import (
	"net/http"

	"github.com/hlsproxy/hlsproxy/internal/caller"
)

// clientOf names a request's client. Behind a reverse proxy all clients are one.
func clientOf(r *http.Request) string { return caller.Name(r) }
