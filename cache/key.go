package cache

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/ignored"
	"github.com/hlsproxy/hlsproxy/internal/maker"
)

// shareable tells whether the answer to r may come from, or go to, other viewers. Credentials make it a private
// question, whatever the answer says (RFC 9111 section 3.5 would allow a little more), but for those of a link's maker: all
// who have the link have them, and the key tells them apart.
func shareable(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != "" {
		return false
	}
	if r.Body != nil && r.Body != http.NoBody || r.URL == nil || r.URL.Opaque != "" || r.URL.User != nil {
		return false // the key is made of neither
	}
	for _, name := range [...]string{"Authorization", "Cookie", "Upgrade"} {
		if _, ok := r.Header[name]; ok && !slices.Contains(maker.Credentials(r), name) {
			return false
		}
	}
	if _, ok := r.Header[icy]; ok && wantsIcy(r.Header) {
		return false
	}
	_, ok := r.Header["Cache-Control"]
	return !ok || !rules.ParseControl(r.Header).NoStore
}

// icy asks a radio for titles between the bytes of its stream.
const icy = "Icy-Metadata"

// wantsIcy tells whether a viewer wants them: those who do not must not get its stream.
func wantsIcy(h http.Header) bool {
	v := strings.Trim(h.Get(icy), " \t")
	return v != "" && v != "0"
}

// why is the reason for going around the cache, in the words of RFC 9211 section 2.2.
func why(r *http.Request) string {
	if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != "" {
		return statusMethod
	}
	return statusBypass
}

// Key is the key of a request to a Transport with a nil Key: the URL without viewer parameters. A Host that differs from the
// URL's asks for something else. What tells the credentials of links apart is added to every key.
func Key(r *http.Request) string { return string(appendURL(nil, r, nil)) }

// appendKeyBut appends the key of a Transport with a nil Key. but lists query parameters that do not count.
func appendKeyBut(key []byte, r *http.Request, but []string) []byte {
	return appendMaker(appendURL(key, r, but), r)
}

// appendURL appends the URL in the form of RFC 3986 section 6.2: in lower case, without a default port, and with no more
// escapes than there must be.
func appendURL(key []byte, r *http.Request, but []string) []byte {
	u := r.URL
	scheme := strings.ToLower(u.Scheme)
	key = append(append(key, scheme...), "://"...)
	key = append(key, hostOf(scheme, u.Host)...)
	if r.Host != "" && r.Host != u.Host && hostOf(scheme, r.Host) != hostOf(scheme, u.Host) {
		key = append(append(key, ','), hostOf(scheme, r.Host)...)
	}
	path := u.EscapedPath()
	switch {
	case path == "":
		key = append(key, '/')
	case strings.IndexByte(path, '%') < 0:
		key = append(key, path...)
	default:
		key = appendUnescaped(key, path)
	}
	if u.RawQuery != "" {
		if query := sharedQuery(u.RawQuery, but); query != "" {
			key = append(append(key, '?'), query...)
		}
	}
	return key
}

// hostOf is a host in lower case and without the default port of the scheme.
func hostOf(scheme, host string) string {
	host = strings.ToLower(host)
	switch scheme {
	case "http":
		return strings.TrimSuffix(host, ":80")
	case "https":
		return strings.TrimSuffix(host, ":443")
	}
	return host
}

// appendUnescaped appends a path whose escapes are in upper case, and gone where nothing needs them.
func appendUnescaped(key []byte, path string) []byte {
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			key = append(key, path[i])
			continue
		}
		c, err := strconv.ParseUint(path[i+1:i+3], 16, 8)
		switch b := byte(c); {
		case err != nil:
			key = append(key, '%')
			continue
		case b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("-._~", b) >= 0:
			key = append(key, b)
		default:
			key = append(append(key, '%'), strings.ToUpper(path[i+1:i+3])...)
		}
		i += 2
	}
	return key
}

// What stands in a key behind the URL, or what Transport.Key has made of it.
const (
	ofMaker = "\x01" // before a digest of credentials
	ofPart  = "\x00" // before what tells a variant or a slice
)

// appendMaker tells the answers to the credentials of different makers of links apart.
func appendMaker(key []byte, r *http.Request) []byte {
	if names := maker.Credentials(r); len(names) > 0 {
		key = append(append(key, ofMaker...), maker.Digest(r.Header, names)...)
	}
	return key
}

// listed is a request for u, which a playlist names, the answer to r, as its viewers will send it, as far as the key goes.
func listed(r *http.Request, u *url.URL) *http.Request {
	if m := maker.FromContext(r.Context()); m != nil {
		u = m.Inherited(u)
	}
	return named(r, u, http.Header{})
}

// named is a request for u, which an answer to r leads to, as its viewers will send it, as far as the key goes. It takes h.
func named(r *http.Request, u *url.URL, h http.Header) *http.Request {
	if query := ignored.Strip(u.RawQuery, ignored.Names(r.Context())); query != u.RawQuery {
		plain := *u
		plain.RawQuery = query
		u = &plain
	}
	q := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: h}
	m := maker.FromContext(r.Context())
	if m == nil {
		return q
	}
	m.Apply(h, u)
	return q.WithContext(r.Context())
}

// sharedQuery drops the parameters that name the viewer or its mood, and leaves all other bytes as they are: queries are
// often signed.
func sharedQuery(raw string, but []string) string {
	if len(but) == 0 && !strings.Contains(raw, hls.CMCD) && !strings.Contains(raw, hls.Reserved) {
		return raw
	}
	var kept strings.Builder
	for pair := range strings.SplitSeq(raw, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if hls.IsViewers(pair) || slices.Contains(but, name) {
			continue
		}
		if kept.Len() > 0 {
			kept.WriteByte('&')
		}
		kept.WriteString(pair)
	}
	return kept.String()
}

// viewerFields are those of a request that concern its sender alone. A fill asks for the whole, plain and unconditionally.
var viewerFields = [...]string{
	"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
	"Cookie", "Authorization", "Cache-Control", "Pragma", "Accept-Encoding", tierField, icy,
}

// Two Transports in a row tell each other the age of an answer to the millisecond, since Age counts whole seconds: the outer
// one's Base asks for that with tierField, and the inner one answers with rules.ExactAge. Neither goes further, nor into a
// Store.
const tierField = "Hlsproxy-Tier"

// withoutTier is r as it may be sent to Base.
func withoutTier(r *http.Request) *http.Request {
	if r.Header[tierField] == nil {
		return r
	}
	r = r.Clone(r.Context())
	delete(r.Header, tierField)
	return r
}

// fillHeader is the header that a fill on behalf of a viewer sends.
func fillHeader(r *http.Request) http.Header {
	out := r.Header.Clone()
	if out == nil {
		out = http.Header{}
	}
	for _, name := range viewerFields {
		delete(out, name)
	}
	for _, name := range maker.Credentials(r) {
		if v, ok := r.Header[name]; ok {
			out[name] = v
		}
	}
	out["Accept-Encoding"] = []string{"identity"}
	return out
}
