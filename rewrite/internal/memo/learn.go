package memo

import (
	"bytes"

	"github.com/hlsproxy/hlsproxy/rewrite/internal/swar"
)

// A Mapping says how a URI became its URL: the part of the URI below some directory is in the URL as well, byte for byte or
// escaped.
type Mapping struct {
	Lead   int  // the bytes of the URI before the part below the directory: "../", "/", or none
	Rest   int  // where that part begins in the URL
	Free   int  // how many bytes of that part may be replaced by others without a meaning
	Name   Span // the file name in that part, if Second is set or its extension decides the URL
	Second int  // where the URL has the file name once more; 0: nowhere

	// Escapes is the length in the URL of each byte that is escaped there. 0: it is not escaped. nil: no byte is escaped.
	Escapes *[256]uint8
}

// learn makes the unit remember these lines.
func (u *Unit) learn(lines []byte, uri Span, url []byte, how *Mapping) {
	u.uri = uri
	u.src = append(u.room.src[:0], lines...)
	u.below = uri.Start + how.Lead
	u.name = Span{u.below + how.Name.Start, u.below + how.Name.End}
	u.moved = nil
	if how.Escapes != nil {
		u.moved = u.room.moved[:0]
		moved := 0
		for _, c := range u.src[u.below:uri.End] {
			u.moved = append(u.moved, uint16(moved))
			moved += max(int(how.Escapes[c]), 1) - 1
		}
	}
	u.words = u.room.words[:0]
	free, hex, fixed := Span{u.below, u.below + how.Free}, hexNumber(u.src, uri.End), u.extension()
	for at := 0; at < len(lines); at += swar.Size {
		u.words = append(u.words, u.wordAt(min(at, len(lines)-swar.Size), how.Escapes, free, hex, fixed))
	}
	u.tellApart()
	u.fill(url, how)
}

// extension is where the file name has an extension that decides the URL.
func (u *Unit) extension() Span {
	dot := bytes.LastIndexByte(u.src[u.name.Start:u.name.End], '.')
	if dot < 0 {
		return Span{}
	}
	return Span{u.name.Start + dot, u.name.End}
}

// Remap replaces the result of the lines: their URI is the same, but now becomes another URL. It returns false if too little is
// known about the lines.
func (u *Unit) Remap(url []byte, how *Mapping) bool {
	if u.uri.Start+how.Lead != u.below || !fits(len(u.src), len(url)) {
		return false
	}
	u.fill(url, how)
	return true
}

// fill computes out from the URL.
func (u *Unit) fill(url []byte, how *Mapping) {
	if u.out == nil {
		u.out = u.room.out[:0]
	}
	u.out = append(append(append(u.out[:0], u.src[:u.uri.Start]...), url...), u.src[u.uri.End:]...)
	u.url = Span{u.uri.Start, u.uri.Start + len(url)}
	if u.second = how.Second; u.second > 0 {
		u.second += u.uri.Start
	}
	u.rest = u.url.Start + how.Rest
	u.signed = false
	u.place()
}

// place finds where the words are in out.
func (u *Unit) place() {
	shift := [...]int{within: u.rest - u.below, behind: len(u.out) - len(u.src)}
	for k := range u.words {
		w := &u.words[k]
		if w.part != torn {
			w.to = uint16(int(w.at) + u.movedBy(int(w.at)) + shift[w.part])
			continue
		}
		for i := range w.each {
			at := int(w.at) + i
			w.each[i] = uint16(at + u.movedBy(at) + shift[u.partOf(at)])
		}
	}
}

// partOf is the part to which a byte of src belongs. A byte of no part never differs.
func (u *Unit) partOf(i int) part {
	switch {
	case i < u.uri.Start:
		return before
	case i >= u.uri.End:
		return behind
	case i >= u.below:
		return within
	}
	return torn
}

// movedBy is how much further a byte of src is in out than its part.
func (u *Unit) movedBy(i int) int {
	if u.moved == nil || i < u.below || i >= u.uri.End {
		return 0
	}
	return int(u.moved[i-u.below])
}

// wordAt describes the eight bytes at i. Bytes of free may differ in more than digits; bytes of fixed must not differ.
func (u *Unit) wordAt(i int, escapes *[256]uint8, free, hex, fixed Span) word {
	text := swar.Load(u.src, i)
	w := word{
		at:     uint16(i),
		digits: swar.Digits(text) >> 7 * 0x0f &^ swar.Between(i, u.uri.Start, u.below) &^ swar.Between(i, fixed.Start, fixed.End),
		free:   swar.Plain(text) & swar.Between(i, free.Start, free.End) &^ swar.Between(i, fixed.Start, fixed.End),
		hex:    swar.High & swar.Between(i, hex.Start, hex.End),
	}
	if w.part = u.partOf(i); u.partOf(i+swar.Size-1) != w.part || w.part == within && anyEscaped(escapes, u.src[i:i+swar.Size]) {
		w.part = torn
	}
	return w
}

func anyEscaped(escapes *[256]uint8, s []byte) bool {
	if escapes == nil {
		return false
	}
	for _, c := range s {
		if escapes[c] > 0 {
			return true
		}
	}
	return false
}

// hexNumber finds the digits of the first hexadecimal number after from. Attribute names that are searched for, and values with
// a meaning, do not consist of such digits.
func hexNumber(src []byte, from int) Span {
	n := bytes.Index(src[from:], []byte("=0x"))
	if n < 0 {
		return Span{}
	}
	start := from + n + len("=0x")
	end := start
	for end < len(src) && swar.HexDigits(uint64(src[end])) != 0 {
		end++
	}
	return Span{start, end}
}
