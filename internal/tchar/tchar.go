// Package tchar knows the grammar of tokens: the names of header fields and methods, and the unquoted values of parameters (RFC
// 9110 section 5.6.2).
package tchar

import "strings"

// IsToken reports whether s is a token. The empty string is none.
func IsToken(s string) bool {
	for i := range len(s) {
		if !bytes[s[i]] {
			return false
		}
	}
	return s != ""
}

// Is reports whether tokens may contain c.
func Is(c byte) bool { return bytes[c] }

// InStructured reports whether the tokens of structured fields may contain c. Their first byte is a letter or an asterisk (RFC
// 9651 section 3.3.4).
func InStructured(c byte) bool { return bytes[c] || c == ':' || c == '/' }

var bytes = func() (set [256]bool) {
	for c := range set {
		b := byte(c)
		set[c] = b-'0' < 10 || b|0x20-'a' < 26 || strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
	}
	return set
}()
