package rewrite

import (
	"bytes"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

const directivePrefix = hls.Reserved

// isDirective tells whether a query parameter is a delivery directive.
func isDirective(param []byte) bool { return hls.IsDirective(param) }

// isPlaylistPath tells whether delivery directives may reach a URL with this path: they go to playlists and steering manifests
// only. These often have no telling extension, so segments and keys are recognised by theirs.
func isPlaylistPath(path []byte) bool { return !isMediaPath(path) }

// extension is what follows the last dot of the last element of a path.
func extension(path []byte) []byte {
	path = path[bytes.LastIndexByte(path, '/')+1:]
	dot := bytes.LastIndexByte(path, '.')
	if dot < 0 {
		return nil
	}
	return path[dot+1:]
}

// isMediaPath knows the extensions of media segments, their sections, keys, subtitles and images.
func isMediaPath[T string | []byte](path T) bool {
	k := hls.ByName(path)
	return k.IsMedia() || k == hls.Key || k == hls.Data
}

// appendDirectives appends the delivery directives of a client's query to an upstream URL, in the order given. Those
// with bytes that no query may contain are dropped.
func appendDirectives(upstream, query string) string {
	if !strings.Contains(query, directivePrefix) {
		return upstream
	}
	whole, fragment := upstream, ""
	if i := strings.IndexByte(upstream, '#'); i >= 0 {
		whole, fragment = upstream[:i], upstream[i:]
	}
	out := []byte(whole)
	separator := byte('?')
	if strings.Contains(whole, "?") {
		separator = '&'
	}
	for param := range strings.SplitSeq(query, "&") {
		if strings.HasPrefix(param, directivePrefix) && plainQuery(param) {
			if last := out[len(out)-1]; last != '?' && last != '&' || separator == '?' {
				out = append(out, separator)
			}
			out = append(out, param...)
			separator = '&'
		}
	}
	return string(append(out, fragment...))
}

func plainQuery(s string) bool {
	for i := range len(s) {
		if s[i] == '#' || class[s[i]]&oddQuery != 0 {
			return false
		}
	}
	return true
}

// withoutDirectives removes the delivery directives from a query and keeps the spelling of the rest.
func withoutDirectives(query string) string {
	if !strings.HasPrefix(query, directivePrefix) && !strings.Contains(query, "&"+directivePrefix) {
		return query
	}
	var kept []string
	for param := range strings.SplitSeq(query, "&") {
		if !strings.HasPrefix(param, directivePrefix) {
			kept = append(kept, param)
		}
	}
	return strings.Join(kept, "&")
}
