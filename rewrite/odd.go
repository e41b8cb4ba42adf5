package rewrite

import (
	"bytes"
	"strings"
)

// Public URLs of Prefix and HostPath repeat the upstream path. Bytes that something between here and the next request
// would alter (net/url, http.ServeMux, a browser) are odd: an odd byte is written as "%25" and two upper-case
// hexadecimal digits, and an upstream "%25", which would look like one, has its percent sign written that way.

// appendOdd appends the path, query and fragment of an upstream URL in the spelling of a public URL. after is the byte
// that it will follow. ok is false for what cannot be mapped: dot segments, or a fragment behind an empty query.
func appendOdd(dst, rest []byte, after byte) (_ []byte, ok bool) {
	path, query, fragment := splitTail(rest)
	if climbs(path) || len(query) == 1 && fragment != nil {
		return dst, false
	}
	dst = appendOddPath(dst, path, after)
	if query != nil {
		directives := !isPlaylistPath(path)
		dst = appendOddQuery(append(dst, '?'), query[1:], directives)
	}
	if fragment != nil {
		// A client keeps fragments to itself, so it travels behind the query.
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
		if class[c]&oddPath != 0 || c == '%' && oddPercent(path[i:]) || c == '/' && last == '/' {
			dst = append(dst, '%', '2', '5', upperHex[c>>4], upperHex[c&15])
		} else {
			dst = append(dst, c)
		}
		last = c
	}
	return dst
}

// appendOddQuery escapes '#' too, and, if told so, the underscore of an upstream parameter that would pass for a
// delivery directive of the client.
func appendOddQuery(dst, query []byte, directives bool) []byte {
	for i, c := range query {
		odd := class[c]&oddQuery != 0 || c == '#' || c == '%' && oddPercent(query[i:]) ||
			c == '_' && directives && (i == 0 || query[i-1] == '&') && isDirective(query[i:])
		if odd {
			dst = append(dst, '%', '2', '5', upperHex[c>>4], upperHex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// appendOddFragment escapes '&' too, so that what a client adds to the query can be told apart.
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

// oddPercent tells whether the percent sign that s begins with is none of a valid escape, or could be taken for one of ours.
func oddPercent(s []byte) bool {
	return len(s) < 3 || !isHex(s[1]) || !isHex(s[2]) || s[1] == '2' && s[2] == '5'
}

// appendPlainPath undoes appendOddPath. It refuses escapes that appendOddPath would not have made, lest a client
// smuggles a separator in.
func appendPlainPath(dst []byte, path string) ([]byte, bool) {
	return appendPlain(dst, path, func(c byte) bool { return class[c]&oddPath != 0 || c == '%' || c == '/' })
}

const fragmentMark = "%2523"

// appendPlainQuery undoes what appendOdd made of query and fragment. Parameters that a client added behind the
// fragment go where they belong.
func appendPlainQuery(dst []byte, query string, playlist bool) ([]byte, bool) {
	query, fragment, found := strings.Cut(query, fragmentMark)
	fragment, added, _ := strings.Cut(fragment, "&")
	if !playlist {
		query, added = withoutDirectives(query), withoutDirectives(added)
	}
	if added != "" {
		query = strings.TrimPrefix(query+"&"+added, "&")
	}
	ok := true
	if query != "" {
		dst, ok = appendPlain(append(dst, '?'), query, func(c byte) bool { return class[c]&oddQuery != 0 || c == '%' || c == '_' })
	}
	if found && ok {
		dst, ok = appendPlain(append(dst, '#'), fragment, func(c byte) bool {
			return class[c]&oddQuery != 0 || c == '%' || c == '#' || c == '&'
		})
	}
	return dst, ok
}

func appendPlain(dst []byte, s string, odd func(byte) bool) ([]byte, bool) {
	if strings.IndexByte(s, '%') < 0 {
		return append(dst, s...), true
	}
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+3 > len(s) || s[i+1:i+3] != "25" {
			dst = append(dst, s[i])
			continue
		}
		if i+5 > len(s) {
			return dst, false
		}
		c := upperNibble(s[i+3])<<4 | upperNibble(s[i+4])
		if upperNibble(s[i+3]) > 15 || upperNibble(s[i+4]) > 15 || !odd(c) {
			return dst, false
		}
		dst = append(dst, c)
		i += 4
	}
	return dst, true
}
