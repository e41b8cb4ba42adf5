package rewrite

import (
	"bytes"
	"strings"
)

const directivePrefix = "_HLS_" // section 6.2.5 of the HLS draft

// isDirective tells whether a query parameter is a delivery directive.
func isDirective(param []byte) bool {
	return len(param) >= len(directivePrefix) && string(param[:len(directivePrefix)]) == directivePrefix
}

// isPlaylistPath tells whether delivery directives may reach a URL with this path: they go to playlists and steering
// manifests only, which often have no telling extension, so it is the segments and keys that are known by theirs.
func isPlaylistPath(path []byte) bool { return !isMediaExtension(extension(path)) }

// extension is what follows the last dot of the last element of a path.
func extension(path []byte) []byte {
	path = path[bytes.LastIndexByte(path, '/')+1:]
	dot := bytes.LastIndexByte(path, '.')
	if dot < 0 {
		return nil
	}
	return path[dot+1:]
}

// isMediaExtension knows the extensions of media segments, their sections, keys, subtitles and images.
func isMediaExtension(ext []byte) bool {
	if len(ext) < 2 || len(ext) > 6 {
		return false
	}
	var lower [6]byte
	for i, c := range ext {
		if c-'A' < 26 {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(ext)]) {
	case "ts", "tsv", "tsa", "m2ts", "mts", "mp4", "m4s", "m4v", "m4a", "m4f", "mp4a", "mp4v", "cmfv", "cmfa", "cmft", "cmfm",
		"init", "dash", "aac", "ac3", "ac4", "ec3", "eac3", "mp3", "mp2", "flac", "opus", "ogg", "oga", "wav", "webm", "flv", "mkv", "mov",
		"vtt", "webvtt", "srt", "ttml", "stpp", "imsc", "key", "bin", "jpg", "jpeg", "png", "webp", "gif", "avif":
		return true
	}
	return false
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
