package origin

import (
	"net/url"
	"slices"
	"strings"
)

// maxDirective is how long the value of a delivery directive may be.
const maxDirective = 64

// withKnownDirectives takes out of a public URL the delivery directives that nobody has defined, that have no sense, or
// that come twice (draft-pantos-hls-rfc8216bis-22 section 6.2.5: a server ignores what it does not know). A player adds
// directives after a link is signed, so they would be a viewer's way to ask for the same in any number of URLs.
func withKnownDirectives(public *url.URL) *url.URL {
	if !strings.Contains(public.RawQuery, "_HLS_") {
		return public
	}
	var kept, seen []string
	for pair := range strings.SplitSeq(public.RawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "_HLS_") {
			if !isDirective(name, value) || slices.Contains(seen, name) {
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

func isDirective(name, value string) bool {
	switch name {
	case "_HLS_msn", "_HLS_part":
		return value != "" && areDigits(value, 19)
	case "_HLS_skip":
		return value == "YES" || value == "v2"
	case "_HLS_push", "_HLS_report", "_HLS_pathway", "_HLS_throughput", "_HLS_primary_id", "_HLS_interstitial_id", "_HLS_start_offset":
		return len(value) <= maxDirective
	}
	return false
}
