package origin

import (
	"net/url"
	"slices"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// withDirectives gives a query the delivery directives of another one, and no others.
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

// withKnownDirectives takes out of a public URL the delivery directives that nobody has defined, that have no sense, or
// that come twice (draft-pantos-hls-rfc8216bis-22 section 6.2.5: a server ignores what it does not know). A player adds
// directives after a link is signed, so they would be a viewer's way to ask for the same in any number of URLs.
func withKnownDirectives(public *url.URL) *url.URL {
	if !strings.Contains(public.RawQuery, hls.Reserved) {
		return public
	}
	var kept, seen []string
	for pair := range strings.SplitSeq(public.RawQuery, "&") {
		if hls.IsDirective(pair) {
			name, _, _ := strings.Cut(pair, "=")
			if !hls.IsKnownDirective(pair) || slices.Contains(seen, name) {
				continue
			}
			seen = append(seen, name)
		}
		kept = append(kept, pair)
	}
	u := *public
	u.RawQuery = strings.Join(kept, "&")
	return &u
}
