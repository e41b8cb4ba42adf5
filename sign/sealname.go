package sign

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

var errNotSealed error = &refusal{"not the path of a sealed URL", http.StatusNotFound}

// longestName keeps sealed URLs short of the 4,096 bytes at which some players cut a line.
const longestName = 64

// appendName appends the end of the last segment of a path, without what would have to be escaped: players go by the
// extension.
func appendName(dst []byte, p *link.URL) []byte {
	_, name := link.DirectoryOf(p.Path())
	if len(name) <= longestName && link.IsFileName(name) {
		return append(dst, name...)
	}
	begin := len(dst)
	for _, c := range name[max(0, len(name)-longestName):] {
		if link.OutOfFileName[c] == 0 {
			dst = append(dst, c)
		}
	}
	if len(dst) == begin || dst[begin] == '.' {
		dst = append(dst[:begin], append([]byte("index"), dst[begin:]...)...)
	}
	return dst
}

// longestExtension bounds what a rewriter may put behind a name.
const longestExtension = 10

// fits reports whether a name may stand as it is where a rewriter wants one with the extension ext.
func fits(name []byte, ext string) bool {
	return ext == "" || len(ext) >= longestExtension || !link.IsFileName([]byte(ext)) || hls.Fits(name, ext)
}

// withDirectives adds those parameters of a client's query to the URL of a playlist that are meant for its server
// (draft-pantos-hls-rfc8216bis-22, section 6.2.5). isPlaylist tells one whose name does not say so.
func withDirectives(upstream []byte, query string, isPlaylist bool) string {
	p, ok := link.Split(upstream)
	if !ok || !strings.Contains(query, hls.Reserved) || !isPlaylist && isMedia(p.Path()) {
		return string(upstream)
	}
	fragment := string(p.Fragment())
	out, sep := bytes.Clone(p.WithoutFragment()), byte('?')
	if _, ok := p.Query(); ok {
		sep = '&'
	}
	for param := range strings.SplitSeq(hls.WithoutUnknown(query), "&") {
		if hls.IsDirective(param) && !link.HasOdd([]byte(param), &link.OddInQuery) {
			out = append(append(out, sep), param...)
			sep = '&'
		}
	}
	return string(append(out, fragment...))
}

// isMedia reports whether a path is that of a segment or a key rather than a playlist, which may have any extension or
// none.
func isMedia(path []byte) bool {
	k := hls.ByName(path)
	return k.IsMedia() || k == hls.Key || k == hls.Data
}
