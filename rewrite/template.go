package rewrite

import "math/bits"

// unit remembers lines that hold one URI between them, and what they became. The lines of a playlist count up: the next
// ones often are the same but for digits, and then what they become is a copy with these digits replaced. Nothing else
// has to be looked at: digits end no line and no attribute, are in no name that is looked for, and need no escaping.
// Within the URI other bytes without a meaning may differ too.
type unit struct {
	src   []byte   // the lines, the last ends in LF
	out   []byte   // what they became
	words []wordOf // of src; the last overlaps the one before
	moved []uint16 // how much further each byte of the URI below its directory is because of escapes; nil: not at all
	room  struct { // what these begin with, lest each is allocated
		src   [maxUnit]byte
		out   [2 * maxUnit]byte
		words [maxUnit / word]wordOf
		moved [maxUnit]uint16
	}
	form   form
	token  span // the URI in src
	below  int  // where in it what is below its directory begins
	url    span // the URI in out, not signed
	rest   int  // where in it what is below the directory begins
	name   span // the file name in src
	second int  // where in out that is once more; 0: nowhere
	child  bool // the URI is one of a playlist that belongs to a multivariant playlist
	kind   Kind // of the URI
	isMap  bool // it is that of an EXT-X-MAP
	turn   int  // of the plan for which out is made
	signature
	next *unit // what followed last time
}

// wordOf is what is to be known of eight bytes of a unit.
type wordOf struct {
	digits uint64       // the bits in which those of them differ that may be replaced by other digits
	free   uint64       // the bytes that may be replaced by any without a meaning
	hex    uint64       // the hexadecimal digits that may be replaced by others: of the IV of a key
	apart  uint64       // the digits which tell URLs apart that are not signed alike
	at     uint16       // where in src they begin
	part   part         // in which they are
	to     uint16       // where in out they begin, unless they are torn
	each   [word]uint16 // where each of them is, if they are
}

// part is a part of the lines that stands in out as it is in src.
type part uint8

const (
	torn   part = iota // not one of them
	before             // the URI
	within             // what of the URI is below its directory
	behind             // the URI
)

const maxUnit = 64 * word // so that the words of a unit that differ fit into the bits of one

// match finds out which words of the unit are to be replaced to make it what text begins with, and in which of them there
// is more to be replaced than digits. false: it cannot be made that.
func (u *unit) match(text []byte) (differ, loose uint64, ok bool) {
	src := u.src
	if len(text) < len(src) || len(src) < word || text[len(src)-1] != '\n' {
		return 0, 0, false
	}
	text = text[:len(src)]
	last := len(u.words) - 1
	// The last word goes first, as it tells most.
	if a, b := load(text, len(src)-word), load(src, len(src)-word); a != b {
		w := &u.words[last]
		if !w.countsUp(a, a^b) {
			if !w.becomes(a, a^b) {
				return 0, 0, false
			}
			loose = 1 << (last & 63)
		}
		differ = 1 << (last & 63)
	}
	for i := 0; i <= len(src)-word; i += word {
		a, b := load(text, i), load(src, i)
		if a == b {
			continue
		}
		w, bit := &u.words[i/word], uint64(1)<<(i/word&63)
		if !w.countsUp(a, a^b) {
			if !w.becomes(a, a^b) {
				return 0, 0, false
			}
			loose |= bit
		}
		differ |= bit
	}
	return differ, loose, true
}

// countsUp tells whether the bytes that differ are digits that may be replaced, and are digits again in the word given.
func (w *wordOf) countsUp(to, differ uint64) bool {
	return differ&^w.digits == 0 && (to&w.digits+0x06*ones)&(0x10*ones) == 0
}

// becomes tells whether all bytes that differ may be replaced by those in the word given.
func (w *wordOf) becomes(to, differ uint64) bool {
	may := w.digits<<4&high&digits(to&^high)&^to | w.free&plain(to) | w.hex&hexDigits(to)
	return differing(differ)&^may == 0
}

// append appends what text becomes, which matches.
func (u *unit) append(dst, text []byte, differ uint64) []byte {
	start := len(dst)
	dst = append(dst, u.out...)
	out := dst[start:]
	for ; differ != 0; differ &= differ - 1 {
		w := &u.words[bits.TrailingZeros64(differ)]
		if to := load(text, int(w.at)); w.part != torn {
			store(out, int(w.to), to)
		} else {
			for d := differing(to ^ load(u.src, int(w.at))); d != 0; d &= d - 1 {
				i := bits.TrailingZeros64(d) / 8
				out[w.each[i&7]] = byte(to >> (8 * i))
			}
		}
	}
	if u.second > 0 {
		copy(out[u.second:], text[u.name.start:u.name.end])
	}
	return dst
}
