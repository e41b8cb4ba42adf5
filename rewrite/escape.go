package rewrite

import (
	"encoding/binary"
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
	class  uint16 // the meanings of its bytes, but for those without any
	query  int    // where its query begins, or its length
	name   int    // where the last element of its path begins
	dotted bool   // a slash of its path is followed by a dot or a slash: there may be a dot segment
}

// slack is how many bytes beyond the longest result a buffer has to have that put writes to.
const slack = 8

// put writes what a Query makes of s to buf, and returns how long that is.
func put(buf, s []byte) int {
	n := 0
	for _, c := range s {
		e := escapes[c]
		binary.LittleEndian.PutUint32(buf[n:], e)
		n += int(e >> 24)
	}
	return n
}

// put is put, finding out the shape on the way. Words that need no escaping, which most are, are stored as such.
func (sh *shape) put(buf, s []byte) int {
	*sh = shape{query: -1}
	n, i := 0, 0
	for ; i+8 <= len(s); i += 8 {
		w := s[i : i+8 : i+8]
		m := class[w[0]] | class[w[1]] | class[w[2]] | class[w[3]] | class[w[4]] | class[w[5]] | class[w[6]] | class[w[7]]
		if m&escaped == 0 {
			binary.LittleEndian.PutUint64(buf[n:], binary.LittleEndian.Uint64(w))
			n += 8
			continue
		}
		sh.note(s, m, i, i+8)
		n += put(buf[n:], w)
	}
	sh.note(s, classOf(s[i:]), i, len(s))
	n += put(buf[n:], s[i:])
	if sh.query < 0 {
		sh.query = len(s)
	}
	return n
}

// look is put without writing anything.
func (sh *shape) look(s []byte) {
	*sh = shape{query: -1}
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := s[i : i+8 : i+8]
		m := class[w[0]] | class[w[1]] | class[w[2]] | class[w[3]] | class[w[4]] | class[w[5]] | class[w[6]] | class[w[7]]
		if m&escaped != 0 {
			sh.note(s, m, i, i+8)
		}
	}
	sh.note(s, classOf(s[i:]), i, len(s))
	if sh.query < 0 {
		sh.query = len(s)
	}
}

// note takes in what the bytes s[from:to] mean.
func (sh *shape) note(s []byte, m uint16, from, to int) {
	sh.class |= m
	if m&(slash|question) != 0 && sh.query < 0 {
		sh.mark(s, from, to)
	}
}

// mark finds the slashes of the path, and the query, in s[from:to].
func (sh *shape) mark(s []byte, from, to int) {
	for i := from; i < to; i++ {
		switch s[i] {
		case '?':
			sh.query = i
			return
		case '/':
			sh.name = i + 1
			if i+1 < len(s) && (s[i+1] == '.' || s[i+1] == '/') {
				sh.dotted = true
			}
		}
	}
}

// appendEscaped appends what a Query makes of s.
func appendEscaped(dst, s []byte) []byte {
	var sh shape
	n := len(dst)
	dst = slices.Grow(dst, 3*len(s)+slack)
	return dst[:n+sh.put(dst[n:cap(dst)], s)]
}
