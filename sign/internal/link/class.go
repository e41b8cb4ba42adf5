package link

import (
	"bytes"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// A Class is a set of bytes, or several. It has a bit for each set that a byte is in.
type Class [256]uint8

// HasOdd reports whether b has a byte that is in odd.
func HasOdd(b []byte, odd *Class) bool { return odd.in(b) != 0 }

// in returns the sets that have bytes of b.
func (c *Class) in(b []byte) (sets uint8) {
	if len(b) < 8 {
		for _, char := range b {
			sets |= c[char]
		}
		return sets
	}
	sets = c.ofEight((*[8]byte)(b[len(b)-8:])) // some come twice
	for ; len(b) > 8; b = b[8:] {
		sets |= c.ofEight((*[8]byte)(b))
	}
	return sets
}

func (c *Class) ofEight(b *[8]byte) uint8 {
	return c[b[0]] | c[b[1]] | c[b[2]] | c[b[3]] | c[b[4]] | c[b[5]] | c[b[6]] | c[b[7]]
}

// OddInPath are the bytes that URL.EscapedPath changes. OddInQuery are those that browsers escape in the query of an http URL.
// What is signed is their one escaped spelling.
var (
	OddInPath  = Not(Unreserved + "%!$&'()*+,;=:@/[]")
	OddInQuery = Not(Unreserved + "%!$&()*+,;=:@/[]?^`{|}\\")
)

// oddSent are the bytes of a query that clients spell in their own ways. inPlain are all bytes that need a closer look in a URL
// and, as sets of their own, the two that divide it.
var (
	oddSent = Not(Unreserved + "%!$&()*+,;=:@/[]?")
	inPlain = oddSent.and('?', question).and('&', ampersand)
)

const (
	odd = 1 << iota
	question
	ampersand
)

// and returns the class with another set, which has one byte.
func (c Class) and(char byte, set uint8) Class {
	c[char] |= set
	return c
}

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

// Digits are the decimal digits.
const Digits = "0123456789"

// IsName reports whether s can be the name of a parameter: letters, digits, - and _.
func IsName(s string) bool {
	return s != "" && strings.Trim(s, Unreserved) == "" && !strings.ContainsAny(s, ".~")
}

// Escape escapes the bytes that clients would escape differently, and those that would end the URL.
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
			dst = append(dst, '%', wire.UpperHex[c>>4], wire.UpperHex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// OutOfFileName are the bytes that the last segment of a public path cannot hold unescaped.
var OutOfFileName = Not(Unreserved + "+,@!=")

// IsPlainQuery reports whether all clients send a query as it is spelled, and no escapes hide the names of its parameters.
func IsPlainQuery(query []byte) bool {
	return !HasOdd(query, &oddSent) && !isEscaped(query)
}

// isEscaped reports whether a query may have escapes. Two searches cost less than bytes.ContainsAny.
func isEscaped(query []byte) bool {
	return bytes.IndexByte(query, '%') >= 0 || bytes.IndexByte(query, '+') >= 0
}

// IsFileName reports whether s is the last segment of a URL without query and fragment, and can mean nothing else.
func IsFileName(s []byte) bool { return len(s) > 0 && s[0] != '.' && !HasOdd(s, &OutOfFileName) }
