package sign

import (
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// The limits for what a list may say about an entry.
const (
	mostHints    = 16
	mostHintSize = 2 << 10
)

// AppendPublicWith is AppendPublic for an entry of an IPTV list that demands header fields, as in a rewrite.HintMapper. The
// fields are sealed into the link, and from there into the links of everything that the entry's playlists name. Anybody may
// have written the list, so they count less than an Upstream: what the maker of the list's link says takes precedence;
// Authorization and Cookie go only to the scheme, host and port of the entry; only requests with the same fields share an
// answer. Fields of a connection and of a body are left out, and so are those that tell servers who the client is or which host
// is meant. At most 16 fields with 2 KiB together are sealed, in the order of their names.
func (s *Sealer) AppendPublicWith(dst, upstream []byte, header http.Header) ([]byte, error) {
	clean, auth, ok := cutUserInfo(upstream)
	if !ok {
		return dst, errUnsealed
	}
	f := &fields{}
	size := 0
	for _, name := range slices.Sorted(maps.Keys(header)) {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		for _, value := range header[name][:min(len(header[name]), 1)] { // the first
			size += len(name) + len(value)
			if !isHint(canonical) || !isFieldValue(value) || len(f.hints) == mostHints || size > mostHintSize {
				break
			}
			origin := everywhere
			if canonical == "Authorization" || canonical == "Cookie" {
				origin = originOf(clean)
			}
			f.hints = append(f.hints, hint{field{canonical, value}, origin})
		}
	}
	f.authorize(clean, auth)
	return s.seal(dst, clean, f.encode(), "")
}

// isHint reports whether a list may set a field. Servers that pass fields on as variables, such as CGI, read X_Forwarded.For
// like X-Forwarded-For.
func isHint(name string) bool {
	read := textproto.CanonicalMIMEHeaderKey(strings.Map(func(c rune) rune {
		if 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' {
			return c
		}
		return '-'
	}, name))
	for word := range strings.SplitSeq(read, "-") {
		switch word {
		case "Forwarded", "Forward", "Original", "Rewrite", "Remote", "Authenticated", "Override", "Http", "Host", "Metadata", "Proxy", "Loop",
			"Ip", "Ipv6", "Clientip", "Socketip", "Realip", "Addr", "Address":
			return false
		}
	}
	others := strings.HasPrefix(read, "Content-") || strings.HasPrefix(read, "Cmcd-") || read == "Set-Cookie"
	return !others && isSealable(read) && isSealable(name)
}

// isFieldValue reports whether a text can be the value of a field.
func isFieldValue(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
