// Package hop tells which header fields concern one connection only (RFC 9110 section 7.6.1).
package hop

import (
	"net/http"
	"strings"
)

// Is reports whether a proxy never passes on the field with this canonical name.
func Is(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization", "Te",
		"Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// Named are the canonical names of the fields that the Connection field of a header lists.
func Named(h http.Header) []string {
	var names []string
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			names = append(names, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	return names
}
