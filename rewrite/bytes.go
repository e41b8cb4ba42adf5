package rewrite

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/hlsproxy/hlsproxy/internal/wire"
	"github.com/hlsproxy/hlsproxy/rewrite/internal/swar"
)

// escapes holds what a Query makes of each byte: up to three bytes, the first lowest, their number above them, and what the
// byte means on top.
var escapes = escapeTable()

func escapeTable() (t [256]uint64) {
	for c := range t {
		switch {
		case class[c]&escaped == 0:
			t[c] = 1<<24 | uint64(c)
		case c == ' ':
			t[c] = 1<<24 | '+'
		default:
			t[c] = 3<<24 | '%' | uint64(wire.UpperHex[c>>4])<<8 | uint64(wire.UpperHex[c&15])<<16
		}
		t[c] |= uint64(class[c]) << classAt
	}
	return t
}

const classAt = 32

func escapedLen(e uint64) int { return int(uint32(e) >> 24) }

// escapedLens is how long a Query makes each byte that it escapes. 0: it does not.
var escapedLens = lens()

func lens() (t [256]uint8) {
	for c := range t {
		if class[c]&escaped != 0 {
			t[c] = uint8(escapedLen(escapes[c]))
		}
	}
	return t
}

// shape is what the plan wants to know of a reference, found out in one pass.
type shape struct {
	class     uint16 // the meanings of the bytes that a Query escapes
	query     int    // where its query begins, or its length
	name      int    // where the last element of its path begins
	grown     int    // by how much what stands before that has become longer; put only
	plain     bool   // nothing in that element is escaped; put only
	dotted    bool   // a slash of its path is followed by a dot or a slash: there may be a dot segment
	directive bool   // a parameter of its query is one
	escapes   bool   // there is an escape in its path, or one that is none or could be taken for one of ours
}

// slack is how many bytes beyond the longest result a buffer has to have that put writes to.
const slack = 8

// put writes what a Query makes of s to buf, and returns how long that is. It stores words, and the rest of each again behind a
// byte that has to be escaped.
func (sh *shape) put(buf, s []byte) int {
	*sh = shape{query: len(s)}
	var all uint64
	n, i := 0, 0
	for i+swar.Size <= len(s) {
		w := swar.Load(s, i)
		swar.Store(buf, n, w)
		at := i // of the byte that was stored at n
		for odd := swar.ToEscape(w); odd != 0; odd &= odd - 1 {
			k := bits.TrailingZeros64(odd) / 8
			n += i + k - at
			at = i + k
			e := putByte(buf, n, s[at])
			if all |= e; e&(telling<<classAt) != 0 {
				sh.note(s, at, n)
			}
			n += escapedLen(e)
			at++
			swar.Store(buf, n, w>>(8*k)>>8)
		}
		i += swar.Size
		n += i - at
	}
	for ; i < len(s); i++ {
		e := putByte(buf, n, s[i])
		if all |= e; e&(telling<<classAt) != 0 {
			sh.note(s, i, n)
		}
		n += escapedLen(e)
	}
	sh.class = uint16(all >> classAt)
	if sh.query == len(s) {
		sh.plain = n-i == sh.grown
	}
	return n
}

func putByte(buf []byte, n int, c byte) uint64 {
	e := escapes[c]
	binary.LittleEndian.PutUint32(buf[n:n+4:n+4], uint32(e))
	return e
}

// look is put without writing anything; in a query it passes over what has no meaning there.
func (sh *shape) look(s []byte) {
	*sh = shape{query: len(s)}
	i := 0
	for i+swar.Size <= len(s) {
		var odd uint64
		if w := swar.Load(s, i); sh.query == len(s) {
			odd = swar.ToEscape(w)
		} else {
			odd = swar.OddInQuery(w)
		}
		if odd == 0 {
			i += swar.Size
			continue
		}
		i += bits.TrailingZeros64(odd) / 8
		sh.take(s, i)
		i++
	}
	for ; i < len(s); i++ {
		sh.take(s, i)
	}
}

func (sh *shape) take(s []byte, i int) {
	c := class[s[i]]
	sh.class |= c
	if c&telling != 0 {
		sh.note(s, i, i)
	}
}

// note takes in what the byte s[i], which is telling, means. What stands before it has become n bytes.
func (sh *shape) note(s []byte, i, n int) {
	switch s[i] {
	case '/':
		if sh.query == len(s) {
			sh.name, sh.grown = i+1, n-i+len("%2F")-len("/")
			sh.dotted = sh.dotted || i+1 < len(s) && (s[i+1] == '.' || s[i+1] == '/')
		}
	case '?':
		if sh.query == len(s) {
			sh.query, sh.plain = i, n-i == sh.grown
		}
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

// What a byte means to the code that maps URLs. One table answers all questions with one look at each byte.
const (
	escaped     = 1 << iota // a Query escapes it: what url.QueryEscape does, and "~", which some players escape on their own
	colon                   // may end a scheme
	slash                   // separates path elements
	question                // begins a query
	percent                 // begins an escape
	special                 // begins a fragment or a variable reference, or is read as a slash
	oddPath                 // is sent as an escape in a path
	oddQuery                // is sent as an escape in a query, or would not survive in the query of a public URL, see escape.go
	sentEscaped             // is sent as an escape in a query
	hostBytes               // may stand in the authority of a URL
	telling                 // means something by where it stands or by what follows
)

// class holds the meanings of each byte.
var class = classes()

func classes() (t [256]uint16) {
	set := func(bytes string, bit uint16) {
		for i := range len(bytes) {
			t[bytes[i]] |= bit
		}
	}
	const alnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	for c := range t {
		t[c] = escaped
		if c <= ' ' || c >= 0x7f {
			t[c] |= oddPath | oddQuery | sentEscaped
		}
		if c >= 0x80 {
			t[c] |= hostBytes
		}
	}
	set(alnum+"-._~", hostBytes)
	for _, c := range []byte(alnum + "-._") {
		t[c] &^= escaped
	}
	set("!$&'()*+,;=", hostBytes)
	set("\"<>\\^`{|}", oddPath|oddQuery)
	set("\"<>'", oddQuery|sentEscaped) // as the URL standard of browsers has it for http
	set(":", colon)
	set("/", slash)
	set("?", question)
	set("%", percent)
	set("#{ \\", special)
	set("/?&%", telling)
	return t
}

// classOf unites the meanings of all bytes of s.
func classOf(s []byte) (m uint16) {
	for len(s) >= 8 {
		m |= class[s[0]] | class[s[1]] | class[s[2]] | class[s[3]] | class[s[4]] | class[s[5]] | class[s[6]] | class[s[7]]
		s = s[8:]
	}
	for _, c := range s {
		m |= class[c]
	}
	return m
}

// upperNibble is the value of an upper-case hexadecimal digit, or above 15.
func upperNibble(c byte) byte {
	switch {
	case c-'0' < 10:
		return c - '0'
	case c-'A' < 6:
		return c - 'A' + 10
	}
	return 0xff
}
