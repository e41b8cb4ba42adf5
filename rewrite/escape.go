package rewrite

import (
	"bytes"
	"slices"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/wire"
	"github.com/hlsproxy/hlsproxy/rewrite/internal/swar"
)

// Public URLs of Prefix and HostPath repeat the upstream path and query as they are sent. Bytes that a browser or http.ServeMux
// would still change are odd: the first byte of such a place is written as "%25" and two upper-case hexadecimal digits. In a
// path these are the second of two slashes, and the percent sign of an upstream "%25", which would look like one of ours. In a
// query there are some more.

// appendOdd appends the path, query and fragment of an upstream URL in the spelling of a public URL. after is the byte before
// them. ok is false for what cannot be mapped: dot segments, or a fragment after an empty query.
func appendOdd(dst, rest []byte, after byte) (_ []byte, ok bool) {
	path, query, fragment := splitTail(rest)
	if wire.Climbs(path) || len(query) == 1 && fragment != nil {
		return dst, false
	}
	dst = appendOddPath(dst, path, after)
	if query != nil {
		directives := !isPlaylistPath(path)
		dst = appendOddQuery(append(dst, '?'), query[1:], directives)
	}
	if fragment != nil {
		// A client does not send fragments, so it travels after the query.
		if query == nil {
			dst = append(dst, '?')
		}
		dst = appendOddFragment(dst, fragment)
	}
	return dst, true
}

// splitTail splits what follows an authority. A query keeps its "?" and a fragment its "#", so that nil means absent.
func splitTail(rest []byte) (path, query, fragment []byte) {
	if i := bytes.IndexByte(rest, '#'); i >= 0 {
		rest, fragment = rest[:i], rest[i:]
	}
	if i := bytes.IndexByte(rest, '?'); i >= 0 {
		return rest[:i], rest[i:], fragment
	}
	return rest, nil, fragment
}

func appendOddPath(dst, path []byte, last byte) []byte {
	for i, c := range path {
		switch {
		case class[c]&oddPath != 0:
			dst = append(dst, '%', wire.UpperHex[c>>4], wire.UpperHex[c&15])
		case c == '%' && !wire.IsEscape(path[i:]): // sent as %25
			dst = append(dst, "%252525"...)
		case c == '%' && oddPercent(path[i:]), c == '/' && last == '/':
			dst = appendMark(dst, c)
		default:
			dst = append(dst, c)
		}
		last = c
	}
	return dst
}

func appendMark(dst []byte, c byte) []byte {
	return append(dst, '%', '2', '5', wire.UpperHex[c>>4], wire.UpperHex[c&15])
}

// appendOddQuery also marks '#' and, if directives is true, the underscore of an upstream parameter that looks like a client's
// delivery directive.
func appendOddQuery(dst, query []byte, directives bool) []byte {
	for i, c := range query {
		switch {
		case class[c]&sentEscaped != 0:
			dst = append(dst, '%', wire.UpperHex[c>>4], wire.UpperHex[c&15])
		case class[c]&oddQuery != 0, c == '#', c == '%' && oddPercent(query[i:]),
			c == '_' && directives && (i == 0 || query[i-1] == '&') && isDirective(query[i:]):
			dst = appendMark(dst, c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// appendOddFragment also marks '&', to tell apart what a client adds to the query.
func appendOddFragment(dst, fragment []byte) []byte {
	for len(fragment) > 0 {
		n := bytes.IndexByte(fragment, '&')
		if n < 0 {
			return appendOddQuery(dst, fragment, false)
		}
		dst = append(appendOddQuery(dst, fragment[:n], false), "%2526"...)
		fragment = fragment[n+1:]
	}
	return dst
}

// oddPercent tells whether the percent sign at the beginning of s begins no valid escape, or could be taken for one of ours.
func oddPercent(s []byte) bool { return !wire.IsEscape(s) || s[1] == '2' && s[2] == '5' }

const (
	mark         = "%25"
	fragmentMark = mark + "23"
)

// appendPlainPath undoes appendOddPath. It accepts only what appendOddPath writes: another spelling would get past the rules
// that an application has for paths.
func appendPlainPath(dst []byte, path string, after byte) ([]byte, bool) {
	if strings.Contains(path, "//") || after == '/' && strings.HasPrefix(path, "/") {
		return dst, false
	}
	if !strings.Contains(path, mark) {
		return append(dst, path...), true
	}
	start := len(dst)
	dst = appendUnmarked(dst, path)
	return dst, string(appendOddPath(nil, dst[start:], after)) == path
}

// appendPlainQuery undoes appendOdd for query and fragment, and accepts no other marks. Parameters that a client added after
// the fragment are moved to the query.
func appendPlainQuery(dst []byte, query string, playlist bool) ([]byte, bool) {
	if strings.Contains(query, "#") {
		return dst, false
	}
	query, fragment, found := strings.Cut(query, fragmentMark)
	fragment, added, _ := strings.Cut(fragment, "&")
	if !playlist {
		query, added = withoutDirectives(query), withoutDirectives(added)
	}
	if added != "" {
		query = strings.TrimPrefix(query+"&"+added, "&")
	}
	if query != "" {
		start := len(dst) + 1
		dst = appendUnmarked(append(dst, '?'), query)
		if strings.Contains(query, mark) && string(appendOddQuery(nil, dst[start:], !playlist)) != query {
			return dst, false
		}
	}
	if found {
		start := len(dst)
		dst = appendUnmarked(append(dst, '#'), fragment)
		if string(appendOddFragment(nil, dst[start:])) != fragmentMark+fragment {
			return dst, false
		}
	}
	return dst, true
}

// appendUnmarked undoes the marks of s.
func appendUnmarked(dst []byte, s string) []byte {
	for {
		i := strings.Index(s, mark)
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:i]...)
		s = s[i:]
		if len(s) < len("%25XX") || upperNibble(s[3]) > 15 || upperNibble(s[4]) > 15 {
			dst, s = append(dst, mark...), s[len(mark):]
			continue
		}
		dst, s = append(dst, upperNibble(s[3])<<4|upperNibble(s[4])), s[len("%25XX"):]
	}
}

// harmless escapes, from start on, the bytes that would end the URI before its end or turn it into something else.
func harmless(dst []byte, start int, form form) []byte {
	if plainlyHarmless(dst[start:], form) || !anyHarmful(dst[start:], form) {
		return dst
	}
	u := slices.Clone(dst[start:])
	dst = dst[:start]
	for i, c := range u {
		if harmful(u, i, form) {
			dst = append(dst, '%', wire.UpperHex[c>>4], wire.UpperHex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// plainlyHarmless quickly reports that there is nothing to escape.
func plainlyHarmless(u []byte, form form) bool {
	if len(u) == 0 {
		return true
	}
	return form != bare && u[0] > '#' && u[len(u)-1] > ' ' && bytes.IndexByte(u, '{') < 0 &&
		bytes.IndexByte(u, '"') < 0 && bytes.IndexByte(u, '\n') < 0 && bytes.IndexByte(u, '\r') < 0
}

// ordinary reports whether harmless would change nothing in s, except maybe at the beginning of a URL. It may return false
// although nothing would change.
func ordinary(s []byte) bool {
	if len(s) >= swar.Size {
		found := extraordinary(swar.Load(s, len(s)-swar.Size)) // some bytes come twice
		for ; len(s) > swar.Size; s = s[swar.Size:] {
			found |= extraordinary(swar.Load(s, 0))
		}
		return found == 0
	}
	for _, c := range s {
		if c <= '"' || c == '{' {
			return false
		}
	}
	return true
}

// extraordinary is not 0 if harmless might change a byte of w.
func extraordinary(w uint64) uint64 { return swar.Below(w, '"'+1) | swar.Below(w^'{'*swar.Ones, 1) }

func anyHarmful(u []byte, form form) bool {
	for i := range u {
		if harmful(u, i, form) {
			return true
		}
	}
	return false
}

func harmful(u []byte, i int, form form) bool {
	switch c := u[i]; c {
	case '\r', '\n':
		return true
	case '"':
		return form != line
	case '{':
		return i+1 < len(u) && u[i+1] == '$'
	case ',', ' ', '\t':
		return form == bare || c != ',' && form == line && (i == 0 || i == len(u)-1)
	case '#':
		return form == line && i == 0
	}
	return false
}
