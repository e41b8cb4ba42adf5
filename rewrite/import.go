package rewrite

import (
	"net/url"
	"strings"
)

// EXT-X-DEFINE:IMPORT takes a variable from the multivariant playlist (section 4.4.2.3 of the HLS draft), which nobody
// has at hand when the media playlist is rewritten. So its variables travel in the URL of each child, as the fragment of
// the upstream URL that is mapped: any Mapper that keeps its law carries it, no origin ever sees it.

const (
	importMark = "hls-define:"
	maxImport  = 1024 // bytes of a fragment; some players read URLs of no more than 4,096 bytes
)

// imported is the value that the URL of a media playlist carries for a variable.
func imported(rawURL, name string) (string, bool) {
	fragment, ok := importFragment(rawURL)
	if !ok {
		return "", false
	}
	for pair := range strings.SplitSeq(fragment[len("#"+importMark):], ";") {
		if key, value, _ := strings.Cut(pair, "="); key == name {
			value, err := url.QueryUnescape(value)
			return value, err == nil
		}
	}
	return "", false
}

// importFragment is the fragment of a URL, "#" included, if it carries variables.
func importFragment(rawURL string) (string, bool) {
	i := strings.IndexByte(rawURL, '#')
	if i < 0 || !strings.HasPrefix(rawURL[i+1:], importMark) {
		return "", false
	}
	return rawURL[i:], true
}

// fragment is the fragment that carries the variables to a child; "": there are none, or too many for a URL.
func (v *variables) fragment() string {
	if len(v.names) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("#" + importMark)
	for i, name := range v.names {
		if i > 0 {
			b.WriteByte(';')
		}
		b.WriteString(name + "=" + url.QueryEscape(v.values[name]))
		if b.Len() > maxImport {
			return ""
		}
	}
	return b.String()
}
