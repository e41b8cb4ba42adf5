package wire

import "bytes"

// Climbs reports whether a path has a dot segment ("." or "..") in any spelling that something on the way may read as one:
//
//   - with dots, slashes or backslashes that are escaped, however often;
//   - with control bytes or blanks beside the dots, which browsers remove and Windows drops (".\t./", ".. /");
//   - with a character after the dots that ends a name for some servers: a path parameter, a NUL byte, an escaped "?" or "#";
//   - with Unicode characters that compatibility mapping turns into dots and slashes, or in overlong UTF-8.
//
// A path with a NUL byte climbs too, because servers differ in where it ends. So does one that is escaped more than four times.
// path has no query and no fragment.
func Climbs(path []byte) bool {
	seen := uint8(0)
	for _, c := range path {
		seen |= suspects[c]
	}
	switch {
	case seen == 0:
		return false
	case seen == dot && path[0] != '.' && !bytes.Contains(path, []byte("/.")):
		return false // nearly all paths
	}
	const layers = 4
	for range layers {
		if hasDots(path) {
			return true
		}
		if seen&percent == 0 {
			return false
		}
		plain := AppendUnescaped(nil, path)
		if len(plain) == len(path) {
			return false
		}
		path = plain
	}
	return len(AppendUnescaped(nil, path)) < len(path) || hasDots(path)
}

const (
	dot = 1 << iota
	percent
	odd // may stand beside dots, or in place of one
)

// suspects are the bytes that every climbing path contains at least one of.
var suspects = func() (t [256]uint8) {
	for c := range t {
		if c <= ' ' || c >= 0x7f {
			t[c] = odd
		}
	}
	t['.'], t['%'], t['\\'] = dot, percent, odd
	return t
}()

// hasDots looks for dot segments in a path without escapes.
func hasDots(path []byte) bool {
	dots, only := 0, true // the dots so far in the current segment, and whether it has nothing else
	for i := 0; i < len(path); {
		c, n := meaning(path[i:])
		i += n
		switch {
		case c == 0:
			return true
		case c == '/':
			if only && (dots == 1 || dots == 2) {
				return true
			}
			dots, only = 0, true
		case c == '.' || c == twoDots:
			if dots++; c == twoDots {
				dots++
			}
		case c == ';':
			if only && (dots == 1 || dots == 2) {
				return true
			}
			only = false
		case c > ' ':
			only = false
		}
	}
	return only && (dots == 1 || dots == 2)
}

const twoDots = 1 // stands for a character of two dots

// lookalikes are characters that compatibility mapping (NFKC) turns into dots and slashes, and overlong UTF-8 of these.
var lookalikes = []struct {
	text string
	c    byte
}{
	{"\uff0e", '.'}, {"\u2024", '.'}, {"\ufe52", '.'}, {"\u2025", twoDots}, {"\ufe30", twoDots}, {"\u3002", '.'}, {"\uff61", '.'},
	{"\uff0f", '/'}, {"\uff3c", '/'}, {"\ufe68", '/'}, {"\uff1b", ';'}, {"\u00a0", ' '}, {"\u3000", ' '}, {"\u200b", ' '}, {"\u00ad", ' '}, {"\ufeff", ' '},
	{"\xc0\xae", '.'}, {"\xe0\x80\xae", '.'}, {"\xc0\xaf", '/'}, {"\xe0\x80\xaf", '/'}, {"\xc1\x9c", '/'}, {"\xe0\x81\x9c", '/'}, {"\xc0\x80", 0},
}

// meaning is the meaning of the first character of s, and its length: one of "./;", twoDots, 0 for NUL, a blank for a character
// that may be dropped, another byte for anything else.
func meaning(s []byte) (c byte, length int) {
	switch c = s[0]; {
	case c >= 0x80:
		for _, l := range lookalikes {
			if len(s) >= len(l.text) && string(s[:len(l.text)]) == l.text {
				return l.c, len(l.text)
			}
		}
		return 'x', 1
	case c == 0:
		return 0, 1
	case c <= ' ' || c == 0x7f:
		return ' ', 1
	case c == '\\':
		return '/', 1
	case c == '?' || c == '#':
		return ';', 1
	}
	return c, 1
}
