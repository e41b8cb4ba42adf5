package rewrite

import (
	"bytes"
	"slices"
)

// harmless escapes, from start on, the bytes that would end the URI before its end or turn it into something else.
func harmless(dst []byte, start int, form form) []byte {
	if plainlyHarmless(dst[start:], form) || !anyHarmful(dst[start:], form) {
		return dst
	}
	u := slices.Clone(dst[start:])
	dst = dst[:start]
	for i, c := range u {
		if harmful(u, i, form) {
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// plainlyHarmless tells at a glance that there is nothing to escape.
func plainlyHarmless(u []byte, form form) bool {
	if len(u) == 0 {
		return true
	}
	return form != bare && u[0] > '#' && u[len(u)-1] > ' ' && bytes.IndexByte(u, '{') < 0 &&
		bytes.IndexByte(u, '"') < 0 && bytes.IndexByte(u, '\n') < 0 && bytes.IndexByte(u, '\r') < 0
}

// ordinary tells whether there is nothing in s that harmless would escape anywhere but at the beginning of a URL; it may
// be wrong about what is.
func ordinary(s []byte) bool {
	for i := 0; i+word <= len(s); i += word {
		if extraordinary(load(s, i)) {
			return false
		}
	}
	if len(s) >= word {
		return !extraordinary(load(s, len(s)-word))
	}
	for _, c := range s {
		if c <= '"' || c == '{' {
			return false
		}
	}
	return true
}

func extraordinary(w uint64) bool { return below(w, '"'+1)|below(w^'{'*ones, 1) != 0 }

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
