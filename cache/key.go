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
	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// shareable reports whether the answer to r may come from other viewers or go to them. With credentials it may not, whatever
// the answer says (RFC 9111 section 3.5 would allow a little more). The credentials of a link's maker are an exception:
// everybody who has the link has them, and the key holds their digest.
func shareable(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != "" {
		return false
	}
	if r.Body != nil && r.Body != http.NoBody || r.URL == nil || r.URL.Opaque != "" || r.URL.User != nil {
		return false // the key holds neither of them
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

// icy asks a radio to put titles between the bytes of its stream.
const icy = "Icy-Metadata"

// wantsIcy reports whether a viewer asks for titles. Others must not get a stream with titles.
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
// URL's is part of it. A digest of a link's credentials is added to every key.
func Key(r *http.Request) string { return string(appendURL(nil, r, nil)) }

// appendKeyBut appends the key of a Transport with a nil Key. but lists query parameters that are left out.
func appendKeyBut(key []byte, r *http.Request, but []string) []byte {
	return appendMaker(appendURL(key, r, but), r)
}

// appendURL appends the URL in the normal form of RFC 3986 section 6.2: scheme and host in lower case, no default port, and
// only the escapes that are needed.
func appendURL(key []byte, r *http.Request, but []string) []byte {
	u := r.URL
	scheme := strings.ToLower(u.Scheme)
	key = append(append(key, scheme...), "://"...)
	key = append(key, wire.Host(scheme, u.Host)...)
	if r.Host != "" && r.Host != u.Host && wire.Host(scheme, r.Host) != wire.Host(scheme, u.Host) {
		key = append(append(key, ','), wire.Host(scheme, r.Host)...)
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

// appendUnescaped appends a path. Escapes are in upper case, and are removed where they are not needed.
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

// Marks in a key, after the URL or after the result of Transport.Key.
const (
	ofMaker = "\x01" // before a digest of credentials
	ofPart  = "\x00" // before the part that names a variant or a slice
)

// appendMaker adds a digest of the credentials in a link, to keep answers to different makers apart.
func appendMaker(key []byte, r *http.Request) []byte {
	if names := maker.Credentials(r); len(names) > 0 {
		key = append(append(key, ofMaker...), maker.Digest(r.Header, names)...)
	}
	return key
}

// listed is the request for u, named by a playlist that answered r. It gives the key that viewers' requests will have.
func listed(r *http.Request, u *url.URL) *http.Request {
	if m := maker.FromContext(r.Context()); m != nil {
		u = m.Inherited(u)
	}
	return named(r, u, http.Header{})
}

// named is the request for u, which an answer to r leads to. It gives the key that viewers' requests will have. It takes
// ownership of h.
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

// sharedQuery drops the parameters that describe the viewer. It leaves all other bytes as they are, because queries are often
// signed.
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

// viewerFields concern only the sender of a request. A fill asks for the whole body, without coding and without conditions.
var viewerFields = [...]string{
	"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
	"Cookie", "Authorization", "Cache-Control", "Pragma", "Accept-Encoding", tierField, icy,
}

// Two Transports in a row tell each other the age of an answer in milliseconds, because Age counts whole seconds. The Base of
// the outer one asks for it with tierField, and the inner one answers with rules.ExactAge. Neither field goes further, nor into
// a Store.
const tierField = "Hlsproxy-Tier"

// withoutTier is r without tierField, as Base may see it.
func withoutTier(r *http.Request) *http.Request {
	if r.Header[tierField] == nil {
		return r
	}
	r = r.Clone(r.Context())
	delete(r.Header, tierField)
	return r
}

// fillHeader is the header that a fill sends for a viewer.
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

// keyOf is the key that keep stores e under.
func keyOf(primary string, e *Entry) string {
	if e.Vary == nil {
		return primary
	}
	return variant(primary, e.Vary, e.Vary)
}

// variant is the key of the answer to a request with this header, if answers vary by the fields of vary.
func variant(primary string, vary, header http.Header) string {
	names := make([]string, 0, len(vary))
	for name := range vary {
		names = append(names, name)
	}
	slices.Sort(names)
	var key strings.Builder
	key.WriteString(primary)
	for _, name := range names {
		key.WriteString(ofPart + name + "\x00" + rules.Combined(header[name]))
	}
	return key.String()
}

// withParts matches a key, the keys of its variants and slices, and the same keys with the credentials of a link's maker.
func withParts(key string) func(string) bool {
	return func(k string) bool {
		parts, ok := strings.CutPrefix(k, key)
		return ok && (parts == "" || strings.HasPrefix(parts, ofPart) || strings.HasPrefix(parts, ofMaker))
	}
}
