package rewrite

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// escapes holds what a Query makes of each byte: up to three bytes, the first lowest, and their number on top.
var escapes = escapeTable()

func escapeTable() (t [256]uint32) {
	for c := range t {
		switch {
		case class[c]&escaped == 0:
			t[c] = 1<<24 | uint32(c)
		case c == ' ':
			t[c] = 1<<24 | '+'
		default:
			t[c] = 3<<24 | '%' | uint32(upperHex[c>>4])<<8 | uint32(upperHex[c&15])<<16
		}
	}
	return t
}

// shape is what the plan wants to know of a reference, found out in one pass.
type shape struct {
	class     uint16 // the meanings of the bytes that a Query escapes
	query     int    // where its query begins, or its length
	name      int    // where the last element of its path begins
	dotted    bool   // a slash of its path is followed by a dot or a slash: there may be a dot segment
	directive bool   // a parameter of its query is one
	escapes   bool   // there is an escape in its path, or one that is none or could be taken for one of ours
}

// slack is how many bytes beyond the longest result a buffer has to have that put writes to.
const slack = 8

// put writes what a Query makes of s to buf, and returns how long that is. It stores words, and goes on behind the first
// byte of each that has to be escaped.
func (sh *shape) put(buf, s []byte) int {
	*sh = shape{query: len(s)}
	n, i := 0, 0
	for i+word <= len(s) {
		w := load(s[i:])
		store(buf[n:], w)
		k := word
		if odd := asIs(w) ^ high; odd != 0 {
			k = bits.TrailingZeros64(odd) / 8
			n += putByte(buf[n+k:], s[i+k])
			sh.note(s, i+k)
			i++
		}
		i, n = i+k, n+k
	}
	for ; i < len(s); i++ {
		n += putByte(buf[n:], s[i])
		sh.note(s, i)
	}
	return n
}

func putByte(buf []byte, c byte) int {
	e := escapes[c]
	binary.LittleEndian.PutUint32(buf, e)
	return int(e >> 24)
}

// look is put without writing anything; in a query it passes over what has no meaning there.
func (sh *shape) look(s []byte) {
	*sh = shape{query: len(s)}
	i := 0
	for i+word <= len(s) {
		var odd uint64
		if w := load(s[i:]); sh.query == len(s) {
			odd = asIs(w) ^ high
		} else {
			odd = oddInQuery(w)
		}
		if odd == 0 {
			i += word
			continue
		}
		i += bits.TrailingZeros64(odd) / 8
		sh.note(s, i)
		i++
	}
	for ; i < len(s); i++ {
		sh.note(s, i)
	}
}

// note takes in what the byte s[i] means.
func (sh *shape) note(s []byte, i int) {
	sh.class |= class[s[i]]
	switch s[i] {
	case '/':
		if sh.query == len(s) {
			sh.name = i + 1
			sh.dotted = sh.dotted || i+1 < len(s) && (s[i+1] == '.' || s[i+1] == '/')
		}
	case '?':
		sh.query = min(sh.query, i)
		sh.directive = sh.directive || isDirective(s[i+1:])
	case '&':
		sh.directive = sh.directive || isDirective(s[i+1:])
	case '%':
		sh.escapes = sh.escapes || sh.query == len(s) || oddPercent(s[i:])
	}
}

// appendEscaped appends what a Query makes of s.
func appendEscaped(dst, s []byte) []byte {
	var sh shape
	n := len(dst)
	dst = slices.Grow(dst, 3*len(s)+slack)
	return dst[:n+sh.put(dst[n:cap(dst)], s)]
}
