package rewrite

import (
	"encoding/binary"
	"slices"
)

// memo remembers a reference and what it became. The references of a playlist count up: each mostly differs from the one
// before in a few digits, so that its public URL is a copy with the same few bytes replaced.
type memo struct {
	ref  []byte // nil: nothing is remembered
	stem []byte // its directory, mapped

	// Of a Query: where in the output the URL is, where in the URL the file name and the escaped reference are, what part
	// of the reference the name is, and where each word of the reference begins in what it was escaped to.
	out, length, name, escaped int
	element                    span
	words                      [maxMemo/8 + 2]uint16
}

const maxMemo = 256 // bytes of a reference

func (m *memo) forget() { m.ref = nil }

// fits tells whether a reference can be like the one remembered.
func (m *memo) fits(stem, rest []byte) bool {
	return len(rest) == len(m.ref) && len(stem) == len(m.stem)
}

// same tells whether a reference differs from the one remembered in unremarkable bytes only.
func (m *memo) same(s []byte) bool {
	i, old := 0, m.ref[:len(s)]
	for ; i+8 <= len(s); i += 8 {
		a, b := binary.LittleEndian.Uint64(s[i:]), binary.LittleEndian.Uint64(old[i:])
		if a != b && !digitsDiffer(a, b) && !alike(s[i:i+8], old[i:]) {
			return false
		}
	}
	return alike(s[i:], old[i:])
}

// digitsDiffer tells whether the bytes in which two words differ are digits in both.
func digitsDiffer(a, b uint64) bool {
	const low, high = 0x0f0f0f0f0f0f0f0f, 0x8080808080808080
	differ := a ^ b
	if differ&^low != 0 {
		return false
	}
	return (differ+^uint64(high))&(noDigits(a)|noDigits(b))&high == 0
}

// noDigits sets the top bit of each byte of w that is no digit.
func noDigits(w uint64) uint64 {
	const zeros, most, seven = 0x3030303030303030, 0x7676767676767676, 0x7f7f7f7f7f7f7f7f
	w ^= zeros
	return w | (w&seven + most)
}

// alike tells whether s differs from old in unremarkable bytes only.
func alike(s, old []byte) bool {
	for i, c := range s {
		if o := old[i]; c != o && (class[c]|class[o])&(escaped|remarkable) != 0 {
			return false
		}
	}
	return true
}

// repeat appends the public URL of a reference that is the same but for unremarkable bytes; false: it is not.
func (m *memo) repeat(dst, s []byte) ([]byte, bool) {
	start := len(dst)
	dst = slices.Grow(dst, m.length+slack)
	buf := dst[start : start+m.length+slack]
	copy(buf, dst[m.out:m.out+m.length])
	text, old, i := buf[m.escaped:], m.ref[:len(s)], 0
	for ; i+8 <= len(s); i += 8 {
		a, b := binary.LittleEndian.Uint64(s[i:]), binary.LittleEndian.Uint64(old[i:])
		if a == b {
			continue
		}
		if !digitsDiffer(a, b) && !alike(s[i:i+8], old[i:]) {
			return dst, false
		}
		if at := m.words[i/8]; m.words[i/8+1]-at == 8 {
			binary.LittleEndian.PutUint64(text[at:], a)
		} else {
			patch(text[at:], s[i:i+8], old[i:])
		}
	}
	if last := old[i:]; string(last) != string(s[i:]) {
		if !alike(s[i:], last) {
			return dst, false
		}
		patch(text[m.words[i/8]:], s[i:], last)
	}
	copy(buf[m.name:], s[m.element.start:m.element.end])
	m.ref, m.out = s, start
	return dst[:start+m.length], true
}

// patch replaces, in what old was escaped to, the bytes in which s differs from it. They are such as need no escaping.
func patch(text, s, old []byte) {
	n := 0
	for i, c := range s {
		if c != old[i] {
			text[n] = c
		}
		n += int(escapes[c] >> 24)
	}
}
