package wire

import (
	"net/url"
	"strings"
)

// Origin is the scheme, host and port of an http or https URL (RFC 6454 section 4), in the one spelling by which they can be
// compared.
func Origin(u *url.URL) string {
	scheme := strings.ToLower(u.Scheme)
	return scheme + "://" + Host(scheme, u.Host)
}

// Host is a host, with its port if there is one, in lower case and without the default port of the scheme.
func Host(scheme, host string) string {
	host = strings.ToLower(host)
	switch scheme {
	case "http":
		return strings.TrimSuffix(host, ":80")
	case "https":
		return strings.TrimSuffix(host, ":443")
	}
	return host
}
