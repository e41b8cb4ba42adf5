package rewrite

import (
	"bytes"
	"net/url"
	"slices"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// inheritance are the query parameters that the URLs in a playlist get from its own.
type inheritance struct {
	params []string // as they are written, "name=value"
	names  []string // of these
}

// take finds them in the URL of the playlist. What it lacks comes from the URL that was asked for first, if that is on the same
// host.
func (in *inheritance) take(names []string, base, entry string) {
	in.from(names, base)
	if entry != "" && sameRoot([]byte(base), []byte(entry)) {
		in.from(names, entry)
	}
}

func (in *inheritance) from(names []string, rawURL string) {
	rawURL, _, _ = strings.Cut(rawURL, "#")
	_, query, _ := strings.Cut(rawURL, "?")
	known := slices.Clone(in.names)
	for param := range strings.SplitSeq(query, "&") {
		if len(in.params) == mostInherited {
			return
		}
		name := nameOf(param)
		if name != "" && slices.Contains(names, name) && !slices.Contains(known, name) && !hls.IsDirective(name) {
			in.params, in.names = append(in.params, param), append(in.names, name)
		}
	}
}

// mostInherited bounds what a URL that a viewer has chosen adds to each of a million others, or is looked for in.
const mostInherited = 32

func nameOf(param string) string {
	name, _, _ := strings.Cut(param, "=")
	if plain, err := url.QueryUnescape(name); err == nil {
		return plain
	}
	return name
}

// append appends the parameters that an upstream URL without a fragment lacks. root is the scheme and host of the playlist: a
// token for these is not for others.
func (in *inheritance) append(u, root []byte) (_ []byte, grew bool) {
	if len(in.params) == 0 || !sameRoot(u, root) {
		return u, false
	}
	_, query, _ := bytes.Cut(u, []byte{'?'})
	var own []string
	for param := range strings.SplitSeq(string(query), "&") {
		own = append(own, nameOf(param))
	}
	asked := bytes.IndexByte(u, '?') >= 0
	for i, param := range in.params {
		if slices.Contains(own, in.names[i]) {
			continue
		}
		switch last := u[len(u)-1]; {
		case !asked:
			u = append(u, '?')
		case last != '?' && last != '&':
			u = append(u, '&')
		}
		u, asked, grew = append(u, param...), true, true
	}
	return u, grew
}

// insert is append for a URL that may have a fragment.
func (in *inheritance) insert(u, root []byte) []byte {
	end := bytes.IndexByte(u, '#')
	if end < 0 {
		end = len(u)
	}
	fragment := string(u[end:])
	u, _ = in.append(u[:end], root)
	return append(u, fragment...)
}

// sameRoot tells whether two URLs have the same scheme, host and port (RFC 3986 section 6.2).
func sameRoot(a, b []byte) bool {
	_, endA, okA := splitHTTP(a)
	_, endB, okB := splitHTTP(b)
	if !okA || !okB {
		return false
	}
	return bytes.Equal(a[:endA], b[:endB]) || bytes.Equal(appendCanonical(nil, a[:endA]), appendCanonical(nil, b[:endB]))
}
