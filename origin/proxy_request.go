package origin

import (
	"crypto/rand"
	"math"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/hop"
	"github.com/hlsproxy/hlsproxy/internal/httprange"
	"github.com/hlsproxy/hlsproxy/internal/ignored"
	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// target calls Upstream. It refuses a URL that could be read in two ways.
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
	f.url = *u // the fragment is never sent, but ModifyResponse may need it
	return &f.url, nil
}

// ignore removes query parameters that no answer depends on.
func (f *fetch) ignore(u *url.URL) {
	if u.RawQuery == "" {
		return
	}
	names := f.proxy.Ignore
	if more := ignored.Names(f.viewer.Context()); len(more) > 0 {
		names = slices.Concat(names, more)
	}
	u.RawQuery = ignored.Strip(u.RawQuery, names)
}

// sendable escapes what browsers escape in a query, where a blank would end the request line, and the percent signs of a path
// that begin no escape, which net/url does not take.
func sendable(raw string) string {
	rest, fragment, hasFragment := strings.Cut(raw, "#")
	head, query, found := strings.Cut(rest, "?")
	bare := hasBarePercent(head)
	if !bare && (!found || wire.IsPlain(query)) {
		return raw
	}
	if bare {
		at := pathOf(head)
		head = head[:at] + string(wire.AppendPath(nil, []byte(head[at:])))
	}
	if raw = head; found {
		raw += "?" + string(wire.AppendQuery(nil, []byte(query)))
	}
	if hasFragment {
		raw += "#" + fragment
	}
	return raw
}

func hasBarePercent(s string) bool {
	for i := range len(s) {
		if s[i] == '%' && !wire.IsEscape(s[i:]) {
			return true
		}
	}
	return false
}

// pathOf is where the path of a reference without a query begins.
func pathOf(ref string) int {
	host := strings.Index(ref, "//")
	if host < 0 || strings.IndexByte(ref, '/') != host {
		return 0
	}
	host += len("//")
	if path := strings.IndexByte(ref[host:], '/'); path >= 0 {
		return host + path
	}
	return len(ref)
}

// plainURL is a fast url.Parse for common URLs: a host, maybe a port, a path without escapes, and maybe a query. It reports
// whether raw was one.
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

// plainHost reports whether host is a name or an IPv4 address, with or without a port.
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

// isPlain is the set of bytes that need no escape in a path.
var isPlain = func() (set [256]bool) {
	for c := range set {
		set[c] = isLetterOrDigit(byte(c)) || strings.IndexByte("/-_.~$&+,:;=@", byte(c)) >= 0
	}
	return set
}()

// unfit says why a URL cannot be fetched, "" if it can.
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

// withDirectives replaces the delivery directives of a query by those of another.
func withDirectives(query, from string) string {
	if !strings.Contains(query, hls.Reserved) && !strings.Contains(from, hls.Reserved) {
		return query
	}
	var pairs []string
	for pair := range strings.SplitSeq(query, "&") {
		if pair != "" && !hls.IsDirective(pair) {
			pairs = append(pairs, pair)
		}
	}
	for pair := range strings.SplitSeq(from, "&") {
		if hls.IsDirective(pair) {
			pairs = append(pairs, pair)
		}
	}
	return strings.Join(pairs, "&")
}

// withKnownDirectives removes unknown, invalid and repeated delivery directives from a public URL
// (draft-pantos-hls-rfc8216bis-22 section 6.2.5: a server ignores unknown ones). Players add directives after a link is signed,
// so a viewer could otherwise use them to request one file under any number of URLs.
func withKnownDirectives(public *url.URL) *url.URL {
	query := hls.WithoutUnknown(public.RawQuery)
	if query == public.RawQuery {
		return public
	}
	u := *public
	u.RawQuery = query
	return &u
}

var defaultHeader = []string{
	"Accept", "Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "User-Agent",
}

// DefaultHeader returns the names that a nil Proxy.Header stands for, so that you can add to them. The slice belongs to the
// caller.
func DefaultHeader() []string { return slices.Clone(defaultHeader) }

// isHopByHop reports whether a field belongs to one connection (RFC 9110 section 7.6.1), or is set by Proxy itself.
func isHopByHop(name string) bool {
	switch name {
	case "Host", "Content-Length", "Accept-Encoding", "Via":
		return true
	}
	return hop.Is(name)
}

// passable are the names in a caller's list that may go upstream.
func passable(names []string) []string {
	out := make([]string, 0, len(names))
	for _, name := range names {
		if name = textproto.CanonicalMIMEHeaderKey(name); !isHopByHop(name) {
			out = append(out, name)
		}
	}
	return out
}

var conditional = []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"}

// header is the part of the viewer's header that goes upstream. allow lists the names.
func (f *fetch) header(u *url.URL, allow []string, first bool) http.Header {
	playlist := isPlaylistPath(u)
	in, out := f.viewer.Header, make(http.Header, 8)
	named := hop.Named(in)
	for _, name := range allow {
		if v := in[name]; len(v) > 0 && !slices.Contains(named, name) {
			out[name] = v
		}
	}
	if len(out["Range"])+len(out["If-Range"]) > 0 &&
		(playlist || f.whole || f.viewer.Method != http.MethodGet || !worthSending(out["Range"])) {
		delete(out, "Range")
		delete(out, "If-Range")
	}
	if f.one {
		out["Range"] = []string{"bytes=0-0"}
	}
	if playlist && f.proxy.ModifyResponse != nil {
		for _, name := range conditional { // they name a version that the viewer has, which upstream may not have
			delete(out, name)
		}
	}
	// The values belong to this request: a RoundTripper that changes them in place changes no other request.
	fixed := f.fixed[:3:3]
	if f.sent != nil {
		fixed = make([]string, 3) // an earlier request may still be on its way, from a pool that hedged or before an early answer
	}
	fixed[0], fixed[1], fixed[2] = "identity", f.via, ""
	out["Accept-Encoding"] = fixed[0:1:1]
	if !f.proxy.NoVia {
		out["Via"] = fixed[1:2:2]
	}
	if _, ok := out["User-Agent"]; !ok {
		out["User-Agent"] = fixed[2:3:3] // otherwise net/http would add one
	}
	if first && f.proxy.Forwarded {
		forward(out, f.viewer.RemoteAddr)
	}
	if m := f.clock.maker; m != nil {
		m.Apply(out, u)
	}
	return out
}

// worthSending reports whether a range saves upstream work and is read in the same way by every server. Lists are not sent: few
// servers support them, and one answer can cost the server as much as the client likes (RFC 9110 section 17.15).
func worthSending(lines []string) bool {
	if len(lines) != 1 || strings.ContainsAny(lines[0], ", \t") {
		return false
	}
	s, ok := httprange.ParseOne(lines[0])
	return ok && s != httprange.Spec{First: 0, Last: -1} && s.First < math.MaxInt64 && s.Last < math.MaxInt64
}

// areDigits reports whether s consists of at most this many digits. It may be empty.
func areDigits(s string, most int) bool {
	for i := range len(s) {
		if s[i]-'0' > 9 {
			return false
		}
	}
	return len(s) <= most
}

func isPlaylistPath(u *url.URL) bool { return hls.ByName(u.Path) == hls.Playlist }

func isPlaylistType(h http.Header) bool { return hls.ByType(h.Get("Content-Type")) == hls.Playlist }

// isBlocking reports whether upstream may hold the request back until its playlist has grown.
func isBlocking(u *url.URL) bool { return hls.IsBlocking(u.RawQuery) }

// forward adds the client of a connection to the request's list of earlier ones (RFC 7239 section 4).
func forward(h http.Header, remote string) {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return // no IP address, for example a Unix socket
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

// maxHops is how many proxies of this kind may follow each other.
const maxHops = 10

const markPrefix = "hlsproxy-"

// newMark is a random name for one Proxy in Via (RFC 9110 section 7.6.3). It reveals nothing about the machine.
func newMark() string { return markPrefix + strings.ToLower(rand.Text()[:8]) }

func isMark(s string) bool {
	rest, ok := strings.CutPrefix(s, markPrefix)
	return ok && len(rest) == 8 && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz234567") == ""
}
