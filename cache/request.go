package cache

import (
	"net/http"
	"slices"
	"strings"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/maker"
)

// shareable tells whether the answer to r may come from, or go to, other viewers. Credentials make it a private
// question, whatever the answer says (RFC 9111 section 3.5 would allow a little more), but for those of a link's maker: all
// who have the link have them, and the key tells them apart.
func shareable(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != "" {
		return false
	}
	if r.Body != nil && r.Body != http.NoBody || r.URL == nil {
		return false
	}
	for _, name := range [...]string{"Authorization", "Cookie", "Upgrade"} {
		if _, ok := r.Header[name]; ok && !slices.Contains(maker.Credentials(r), name) {
			return false
		}
	}
	_, ok := r.Header["Cache-Control"]
	return !ok || !rules.ParseControl(r.Header).NoStore
}

// why is the reason for going around the cache, in the words of RFC 9211 section 2.2.
func why(r *http.Request) string {
	if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != "" {
		return statusMethod
	}
	return statusBypass
}

// Key is the key of a request to a Transport with a nil Key: the URL without viewer parameters. A Host that differs from the
// URL's asks for something else.
func Key(r *http.Request) string { return string(appendKey(nil, r)) }

func appendKey(key []byte, r *http.Request) []byte {
	u := r.URL
	key = append(append(key, strings.ToLower(u.Scheme)...), "://"...)
	key = append(key, strings.ToLower(u.Host)...)
	if r.Host != "" && r.Host != u.Host {
		key = append(append(key, ','), strings.ToLower(r.Host)...)
	}
	key = append(key, u.EscapedPath()...)
	if u.RawQuery != "" {
		key = append(append(key, '?'), sharedQuery(u.RawQuery)...)
	}
	return appendMaker(key, r)
}

// appendMaker tells the answers to the credentials of different makers of links apart.
func appendMaker(key []byte, r *http.Request) []byte {
	if names := maker.Credentials(r); len(names) > 0 {
		key = append(append(key, "\x00maker\x00"...), maker.Digest(r.Header, names)...)
	}
	return key
}

// sharedQuery drops the parameters that name the viewer or its mood, and leaves all other bytes as they are: queries are
// often signed.
func sharedQuery(raw string) string {
	if !strings.Contains(raw, hls.CMCD) && !strings.Contains(raw, hls.Reserved) {
		return raw
	}
	var kept strings.Builder
	for pair := range strings.SplitSeq(raw, "&") {
		if hls.IsViewers(pair) {
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
	"Cookie", "Authorization", "Cache-Control", "Pragma", "Accept-Encoding", tierField,
}

// Two Transports in a row tell each other the age of an answer to the millisecond, since Age counts whole seconds: the outer one's
// Base asks for that with tierField, and the inner one answers with rules.ExactAge. Neither goes further, nor into a Store.
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
