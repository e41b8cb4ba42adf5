package origin

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// target asks Upstream and takes no URL that could be read in two ways.
func (f *fetch) target() (*url.URL, error) {
	raw, err := f.proxy.upstream(withKnownDirectives(f.viewer.URL))
	if err != nil {
		return nil, &upstreamError{err}
	}
	if plainURL(&f.url, raw) {
		return &f.url, nil
	}
	u, err := url.Parse(sendable(raw))
	if err != nil {
		return nil, &statusError{status: http.StatusBadRequest, text: "malformed upstream URL"}
	}
	if why := unfit(u); why != "" {
		return nil, &statusError{status: http.StatusBadRequest, text: why}
	}
	return u, nil // with its fragment, which is never sent: ModifyResponse may have put it there
}

// sendable escapes in the query of a URL what a browser would escape: a blank there would end the request line.
func sendable(raw string) string {
	rest, fragment, hasFragment := strings.Cut(raw, "#")
	head, query, found := strings.Cut(rest, "?")
	if !found || wire.IsPlain(query) {
		return raw
	}
	raw = head + "?" + string(wire.AppendQuery(nil, []byte(query)))
	if hasFragment {
		raw += "#" + fragment
	}
	return raw
}

func (p *Proxy) upstream(public *url.URL) (raw string, err error) {
	defer caught(&err)
	return p.Upstream(public)
}

// plainURL is url.Parse for those URLs that nearly all are: nothing but a host, perhaps a port, a path without escapes, and
// perhaps a query. It reports whether raw was one.
func plainURL(u *url.URL, raw string) bool {
	rest, scheme := raw, "https"
	if !strings.HasPrefix(rest, "https://") {
		if scheme = "http"; !strings.HasPrefix(rest, "http://") {
			return false
		}
	}
	rest = rest[len(scheme)+len("://"):]
	slash := strings.IndexByte(rest, '/')
	if slash < 0 || !plainHost(rest[:slash]) {
		return false
	}
	host, path, query := rest[:slash], rest[slash:], ""
	if i := strings.IndexByte(path, '?'); i >= 0 {
		if path, query = path[:i], path[i+1:]; query == "" {
			return false
		}
	}
	for i := range len(path) {
		if !isPlain[path[i]] {
			return false
		}
	}
	if !wire.IsPlain(query) || strings.IndexByte(query, '#') >= 0 {
		return false
	}
	*u = url.URL{Scheme: scheme, Host: host, Path: path, RawQuery: query}
	return true
}

// plainHost reports a name or an IPv4 address, with or without a port.
func plainHost(host string) bool {
	name, port, found := strings.Cut(host, ":")
	if name == "" || found && port == "" || !areDigits(port, len(port)) {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !isLetterOrDigit(c) && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func isLetterOrDigit(c byte) bool { return c-'0' <= 9 || c|0x20-'a' < 26 }

// isPlain has the bytes that stand for themselves in a path.
var isPlain = func() (set [256]bool) {
	for c := range set {
		set[c] = isLetterOrDigit(byte(c)) || strings.IndexByte("/-_.~$&+,:;=@", byte(c)) >= 0
	}
	return set
}()

// unfit says why a URL is nothing that can be fetched; "" if it is.
func unfit(u *url.URL) string {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return "upstream URL is neither http nor https"
	case u.Host == "" || u.Opaque != "" || u.Hostname() == "":
		return "upstream URL without a host"
	case u.User != nil:
		return "upstream URL with user info"
	}
	return ""
}
