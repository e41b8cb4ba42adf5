package rewrite

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
)

// unit remembers lines that hold one URI between them, and what they became. The lines of a playlist count up: the next
// ones often are the same but for digits, and then what they become is a copy with these digits replaced. Nothing else
// has to be looked at: digits end no line and no attribute, are in no name that is looked for, and need no escaping.
// Within the URI other bytes without a meaning may differ too.
type unit struct {
	src    []byte   // the lines, the last ends in LF
	out    []byte   // what they became, not signed
	digits []uint64 // of each eight bytes of src, the bits in which those digits differ that may be replaced
	places []uint16 // where in out each byte of src is
	room   struct { // what these begin with, lest each is allocated
		src    [maxUnit]byte
		out    [2 * maxUnit]byte
		digits [maxUnit / word]uint64
		places [maxUnit]uint16
	}
	form   form
	whole  uint64 // which eight bytes of src are eight bytes of out
	token  span   // the URI in src
	free   span   // the part of it that may differ in more than digits
	hex    span   // hexadecimal digits: the IV of a key
	url    span   // the URI in out
	second int    // where in out the file name is once more; 0: nowhere
	name   span   // the file name in src
	child  bool   // the URI is one of a playlist that belongs to a multivariant playlist
	next   *unit  // what followed last time
}

const (
	word    = 8
	maxUnit = 64 * word // so that the words of a unit that differ fit into the bits of one
)

// match finds out which eight bytes of the unit are to be replaced to make it what text begins with. false: it cannot
// be made that.
func (u *unit) match(text []byte) (differ uint64, ok bool) {
	src := u.src
	if len(text) < len(src) || len(src) < word || text[len(src)-1] != '\n' {
		return 0, false
	}
	text = text[:len(src)]
	// The last word overlaps the one before, and goes first, as it tells most.
	last := len(src) - word
	if a, b := binary.LittleEndian.Uint64(text[last:]), binary.LittleEndian.Uint64(src[last:]); a != b {
		k := len(u.digits) - 1
		if !digitsOnly(a, a^b, u.digits[k]) && !u.alike(text, last) {
			return 0, false
		}
		differ = 1 << (k & 63)
	}
	for k, digits := range u.digits[:len(src)/word] {
		a, b := binary.LittleEndian.Uint64(text[word*k:]), binary.LittleEndian.Uint64(src[word*k:])
		if a != b {
			if !digitsOnly(a, a^b, digits) && !u.alike(text, word*k) {
				return 0, false
			}
			differ |= 1 << (k & 63)
		}
	}
	return differ, true
}

// digitsOnly tells whether the bytes of a word that differ are digits that may be replaced, and are digits again.
func digitsOnly(w, differ, digits uint64) bool {
	const six, ten = 0x0606060606060606, 0x1010101010101010
	return differ&^digits == 0 && (w&digits+six)&ten == 0
}

// alike tells whether the eight bytes from i on are to be had by replacing bytes that have no meaning.
func (u *unit) alike(text []byte, i int) bool {
	if i >= u.free.start && i+word <= u.free.end && (classOf(text[i:i+word])|classOf(u.src[i:i+word]))&(escaped|remarkable) == 0 {
		return true
	}
	digits := u.digits[(i+word-1)/word]
	for k := i; k < i+word; k++ {
		c, old := text[k], u.src[k]
		switch {
		case c == old, digits>>(8*(k-i))&0x0f != 0 && c-'0' < 10:
		case k >= u.hex.start && k < u.hex.end && isHex(c):
		case k < u.free.start || k >= u.free.end || (class[c]|class[old])&(escaped|remarkable) != 0:
			return false
		}
	}
	return true
}

// append appends what text becomes, which matches.
func (u *unit) append(dst, text []byte, differ uint64) []byte {
	start := len(dst)
	dst = append(dst, u.out...)
	out := dst[start:]
	for ; differ != 0; differ &= differ - 1 {
		i := min(word*bits.TrailingZeros64(differ), len(u.src)-word)
		w, places := text[i:i+word:i+word], u.places[i:i+word:i+word]
		if u.whole&differ&-differ != 0 {
			binary.LittleEndian.PutUint64(out[places[0]:], binary.LittleEndian.Uint64(w))
			continue
		}
		for k, c := range w {
			if c != u.src[i+k] {
				out[places[k]] = c
			}
		}
	}
	if u.second > 0 {
		copy(out[u.second:], text[u.name.start:u.name.end])
	}
	return dst
}

// learn makes the unit one of these lines, with their URI and what became of it.
func (u *unit) learn(lines []byte, t *token, token span, url []byte, way *way) {
	u.token, u.child = token, t.tag.child
	u.form = t.form
	u.src = append(u.room.src[:0], lines...)
	u.out = append(append(append(u.room.out[:0], lines[:token.start]...), url...), lines[token.end:]...)
	u.url = span{token.start, token.start + len(url)}
	rest := token.start + way.lead
	u.free = span{rest, rest + way.free}
	u.name = span{rest + way.name.start, rest + way.name.end}
	if u.second = way.second; u.second > 0 {
		u.second += token.start
	}
	u.place(rest, u.url.start+way.rest, way.query)
	u.hex = hexNumber(u.src, u.token.end)
	u.digits, u.whole = u.room.digits[:0], 0
	for i := 0; i < len(lines); i += word {
		at := min(i, len(lines)-word)
		u.digits = append(u.digits, u.mask(at, rest))
		if inRow(u.places[at : at+word]) {
			u.whole |= 1 << (i / word)
		}
	}
}

// place finds the places of the bytes of src in out, rest being where in both what the URI has below its directory begins.
func (u *unit) place(rest, at int, query bool) {
	u.places = u.room.places[:0]
	for i := range u.token.start {
		u.places = append(u.places, uint16(i))
	}
	for range rest - u.token.start {
		u.places = append(u.places, math.MaxUint16) // nowhere, but they never differ
	}
	for _, c := range u.src[rest:u.token.end] {
		n := escapes[c] >> 24
		switch {
		case !query:
			n = 1
			fallthrough
		case class[c]&escaped == 0:
			u.places = append(u.places, uint16(at))
		default:
			u.places = append(u.places, math.MaxUint16)
		}
		at += int(n)
	}
	for i := range len(u.src) - u.token.end {
		u.places = append(u.places, uint16(u.url.end+i))
	}
}

// mask has the low bits of those of eight bytes that are digits, but for digits of what led to a directory.
func (u *unit) mask(i, rest int) (mask uint64) {
	for k := i; k < i+word; k++ {
		if u.src[k]-'0' < 10 && (k < u.token.start || k >= rest) {
			mask |= 0x0f << (8 * (k - i))
		}
	}
	return mask
}

func inRow(places []uint16) bool {
	for i, p := range places[1:] {
		if int(p) != int(places[i])+1 {
			return false
		}
	}
	return true
}

// hexNumber finds the hexadecimal digits of the first attribute behind a place that is a number of such. Neither the
// name of an attribute that is looked for nor a value that has a meaning is made of them.
func hexNumber(src []byte, from int) span {
	n := bytes.Index(src[from:], []byte("=0x"))
	if n < 0 {
		return span{}
	}
	start := from + n + len("=0x")
	end := start
	for end < len(src) && isHex(src[end]) {
		end++
	}
	return span{start, end}
}
