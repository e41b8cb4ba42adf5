package rewrite

import "bytes"

// climbs tells whether a path has a dot segment in any spelling that some server decodes to one: with encoded dots,
// between encoded slashes or backslashes, or with a path parameter behind the dots.
func climbs(path []byte) bool {
	if bytes.IndexByte(path, '.') < 0 && bytes.IndexByte(path, '%') < 0 {
		return false
	}
	dots, only := 0, true // of the current segment: how many dots so far, and nothing else
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && i+2 < len(path) && isHex(path[i+1]) && isHex(path[i+2]) {
			c = nibble(path[i+1])<<4 | nibble(path[i+2])
			i += 2
		}
		switch {
		case c == '/' || c == '\\':
			if only && (dots == 1 || dots == 2) {
				return true
			}
			dots, only = 0, true
		case c == '.' && only:
			dots++
		case c == ';' && only && (dots == 1 || dots == 2):
			return true
		default:
			only = false
		}
	}
	return only && (dots == 1 || dots == 2)
}
