package link

import (
	"bytes"
	"strings"
)

// A Class is a set of bytes: 1 for those in it.
type Class [256]uint8

// HasOdd reports whether b has a byte that is in odd.
func HasOdd(b []byte, odd *Class) bool {
	if len(b) < 8 {
		for _, c := range b {
			if odd[c] != 0 {
				return true
			}
		}
		return false
	}
	any := odd.has((*[8]byte)(b[len(b)-8:])) // some come twice
	for ; len(b) > 8; b = b[8:] {
		any |= odd.has((*[8]byte)(b))
	}
	return any != 0
}

func (odd *Class) has(b *[8]byte) uint8 {
	return odd[b[0]] | odd[b[1]] | odd[b[2]] | odd[b[3]] | odd[b[4]] | odd[b[5]] | odd[b[6]] | odd[b[7]]
}

// OddInPath are the bytes that URL.EscapedPath does not leave as they are, OddInQuery those that browsers escape in the
// query of an http URL. They have one escaped spelling, which is what is signed. oddInParam adds the ampersand to those.
// oddInPlain is for path and query at once: what is odd in either, but for the question mark between them.
var (
	OddInPath  = Not(Unreserved + "%!$&'()*+,;=:@/[]")
	OddInQuery = Not(Unreserved + "%!$&()*+,;=:@/[]?^`{|}\\")
	oddInParam = Not(Unreserved + "%!$()*+,;=:@/[]?^`{|}\\")
	oddInPlain = Not(Unreserved + "%!$()*+,;=:@/[]?")
)

// oddSent are the bytes of a query that clients spell in their own ways.
var oddSent = Not(Unreserved + "%!$&()*+,;=:@/[]?")

// Not returns all bytes but those in set.
func Not(set string) (c Class) {
	for i := range c {
		c[i] = 1
	}
	for i := range len(set) {
		c[set[i]] = 0
	}
	return c
}

// Unreserved are the characters that mean only themselves anywhere in a URL (RFC 3986, section 2.3).
const Unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

// Digits are those.
const Digits = "0123456789"

// IsName reports whether s can be the name of a parameter: letters, digits, - and _.
func IsName(s string) bool {
	return s != "" && strings.Trim(s, Unreserved) == "" && !strings.ContainsAny(s, ".~")
}

// Escape escapes what a client would escape in its own way, or end the URL at.
func Escape(u string) []byte {
	dst := make([]byte, 0, len(u)+128)
	odd := &OddInPath
	for i := range len(u) {
		c := u[i]
		switch {
		case c == '?' || c == '#':
			odd = &OddInQuery
			dst = append(dst, c)
		case odd[c] != 0 && (c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' || odd == &OddInPath):
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// OutOfFileName are the bytes that cannot stand as they are in the last segment of a public path.
var OutOfFileName = Not(Unreserved + "+,@!=")

// IsPlainQuery reports whether a query is spelled as all clients send it, and its names are no others with escapes.
func IsPlainQuery(query []byte) bool {
	return !HasOdd(query, &oddSent) && !bytes.ContainsAny(query, "%+")
}

// IsFileName reports whether s is the last segment of a URL without query and fragment, and means only itself.
func IsFileName(s []byte) bool { return len(s) > 0 && s[0] != '.' && !HasOdd(s, &OutOfFileName) }
