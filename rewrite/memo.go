package rewrite

import (
	"encoding/binary"
)

// memo remembers a reference and what it became. The references of a playlist count up: each mostly differs from the one
// before in a few digits, so that its public URL is a copy with the same few bytes replaced.
type memo struct {
	lead []byte // what stands before ref and led to stem: "../", "/", or nothing
	ref  []byte // nil: nothing is remembered
	stem []byte // the directory that ref is relative to, mapped
	kept []byte // a copy of ref from an earlier pass

	// Of a Query: the URL, where in it the file name and the escaped reference are, what part of the reference the name
	// is, and where each word of the reference begins in what it was escaped to.
	url           []byte
	name, escaped int
	element       span
	words         [maxMemo/8 + 2]uint16
}

const maxMemo = 256 // bytes of a reference

func (m *memo) forget() { m.lead, m.ref = nil, nil }

// keep makes what is remembered outlive the playlist that it is from, for the sake of the next state of that playlist.
func (m *memo) keep() {
	if len(m.lead) > 0 || m.ref == nil {
		m.forget()
		return
	}
	m.kept = append(m.kept[:0], m.ref...)
	m.lead, m.ref = nil, m.kept
}

// fits returns what follows the lead of a reference; nil: it cannot be like the one remembered.
func (m *memo) fits(ref []byte) []byte {
	n := len(m.lead)
	if len(ref) != n+len(m.ref) || n > 0 && string(ref[:n]) != string(m.lead) {
		return nil
	}
	return ref[n:]
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

// repeat appends the public URL of a reference that is the same but for unremarkable bytes. If it is not, false, and
// nothing is to be remembered any more.
func (m *memo) repeat(dst, s []byte) ([]byte, bool) {
	text, old, i := m.url[m.escaped:], m.ref[:len(s)], 0
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
	if i < len(s) {
		if !alike(s[i:], old[i:]) {
			return dst, false
		}
		patch(text[m.words[i/8]:], s[i:], old[i:])
	}
	copy(m.url[m.name:], s[m.element.start:m.element.end])
	m.ref = s
	return append(dst, m.url...), true
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

// lineMemo remembers the last line with an attribute list that held one URI. The next one often has other digits only.
type lineMemo struct {
	start, length int // 0: nothing is remembered
	token         token
}

// repeat finds the token of the line that begins at start and is as long, if it differs in digits only.
func (m *lineMemo) repeat(src []byte, start int, t *token) bool {
	line, old, i := src[start:start+m.length], src[m.start:m.start+m.length], 0
	for ; i+8 <= len(line); i += 8 {
		a, b := binary.LittleEndian.Uint64(line[i:]), binary.LittleEndian.Uint64(old[i:])
		if a != b && !digitsDiffer(a, b) {
			return false
		}
	}
	for ; i < len(line); i++ {
		if a, b := line[i], old[i]; a != b && (a-'0' > 9 || b-'0' > 9) {
			return false
		}
	}
	shift := start - m.start
	m.start = start
	m.token.start += shift
	m.token.end += shift
	*t = m.token
	return true
}
