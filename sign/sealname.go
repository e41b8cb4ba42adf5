package sign

import (
	"bytes"
	"net/http"
	"strings"
)

var errNotSealed error = &refusal{"not the path of a sealed URL", http.StatusNotFound}

// outOfFileName are the bytes that cannot stand as they are in the last segment of a public path.
var outOfFileName = not(unreserved + "+,@!=")

// isFileName reports whether s is the last segment of a URL without query and fragment, and means only itself.
func isFileName(s []byte) bool { return len(s) > 0 && s[0] != '.' && !hasOdd(s, &outOfFileName) }

// longestName keeps sealed URLs short of the 4,096 bytes at which some players cut a line.
const longestName = 64

// appendName appends the end of the last segment of a path, without what would have to be escaped: players go by the
// extension.
func appendName(dst []byte, p *parts) []byte {
	path := p.url[p.path:p.query]
	name := path[bytes.LastIndexByte(path, '/')+1:]
	if len(name) <= longestName && isFileName(name) {
		return append(dst, name...)
	}
	begin := len(dst)
	for _, c := range name[max(0, len(name)-longestName):] {
		if outOfFileName[c] == 0 {
			dst = append(dst, c)
		}
	}
	if len(dst) == begin || dst[begin] == '.' {
		dst = append(dst[:begin], append([]byte("index"), dst[begin:]...)...)
	}
	return dst
}

// withDirectives adds those parameters of a client's query to the URL of a playlist that are meant for who serves it
// (draft-pantos-hls-rfc8216bis-22, section 6.2.5).
func withDirectives(upstream []byte, query string) string {
	p, ok := split(upstream)
	if !ok || !strings.Contains(query, hlsPrefix) || isMedia(upstream[p.path:p.query]) {
		return string(upstream)
	}
	fragment := string(upstream[p.end:])
	out, sep := bytes.Clone(upstream[:p.end]), byte('?')
	if p.query < p.end {
		sep = '&'
	}
	for param := range strings.SplitSeq(query, "&") {
		if strings.HasPrefix(param, hlsPrefix) && !hasOdd([]byte(param), &oddInQuery) {
			out = append(append(out, sep), param...)
			sep = '&'
		}
	}
	return string(append(out, fragment...))
}

// isMedia reports whether a path is that of a segment or a key rather than a playlist, which may have any extension or
// none.
func isMedia(path []byte) bool {
	dot := bytes.LastIndexByte(path, '.')
	if dot < 0 || len(path)-dot > 6 {
		return false
	}
	switch strings.ToLower(string(path[dot:])) {
	case ".ts", ".m4s", ".mp4", ".m4a", ".m4v", ".cmfv", ".cmfa", ".aac", ".ac3", ".ec3", ".mp3", ".vtt", ".webvtt", ".key", ".bin", ".jpg":
		return true
	}
	return false
}
