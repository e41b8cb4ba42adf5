package memo

import (
	"bytes"
	"math/bits"

	"github.com/hlsproxy/hlsproxy/rewrite/internal/swar"
)

// A Unit is a group of lines with one URI, and their result.
type Unit struct {
	// Note belongs to the caller.
	Note Note

	src   []byte   // the lines, the last ends in LF
	out   []byte   // their result
	words []word   // of src; the last overlaps the one before
	moved []uint16 // by how much escapes move each byte of the URI below its directory; nil: not at all
	room  struct { // initial room for these, to avoid allocations
		src   [maxLines]byte
		out   [2 * maxLines]byte
		words [maxLines / swar.Size]word
		moved [maxLines]uint16
	}
	uri    Span // in src
	below  int  // where in it the part below its directory begins
	url    Span // in out, not signed
	rest   int  // where in it that part begins
	name   Span // the file name in src
	second int  // where in out the file name is repeated; 0: nowhere

	signed bool   // out includes what was appended to the URL
	apart  uint64 // the words with digits that tell differently signed URLs apart
	inURI  uint64 // the words of the URI

	next *Unit // the unit that followed last time
}

// A Note is what else the caller knows about a unit. It is in the unit because a separate table costs 3 % of rewriting.
type Note struct {
	Form, Kind  uint8 // of the URI, as numbers of the caller
	Segment     uint8 // what else of the playlist decides the URL, as a number of the caller
	Child, Init bool  // the URI is that of a variant or rendition, or of an initialization section
	Report      bool  // the URI is that of a rendition report
	Turn, Pass  int   // the directory for which the lines were mapped, and the playlist for which signing was checked
	Varied      bool  // some URLs are not signed alike
}

// Span is a range in a text.
type Span struct{ Start, End int }

// maxLines is the longest total of the lines of a unit: a Difference has a bit for each of their words.
const maxLines = 64 * swar.Size

// fits reports whether there is room for the lines and their result.
func fits(lines, url int) bool {
	return lines >= swar.Size && lines <= maxLines && lines+url <= 2*maxLines
}

// A word describes eight bytes of a unit.
type word struct {
	digits uint64            // the bits that may differ in digits that may be replaced by others
	free   uint64            // the bytes that may be replaced by any others without a meaning
	hex    uint64            // the hexadecimal digits that may be replaced by others: those of the IV of a key
	apart  uint64            // the digits that tell differently signed URLs apart
	at     uint16            // where it begins in src
	part   part              // the part it belongs to
	to     uint16            // where it begins in out, unless it is torn
	each   [swar.Size]uint16 // where each of its bytes is, if it is torn
}

// part is a part of the lines that is in out as it is in src.
type part uint8

const (
	torn   part = iota // in no single part
	before             // before the URI
	within             // the part of the URI below its directory
	behind             // after the URI
)

// Difference is where lines differ from the unit that they match. It is valid only for these two.
type Difference struct {
	words uint64 // the words to replace
	loose uint64 // those in which more than digits must be replaced
}

// match finds out what must be replaced to turn the unit into the beginning of text. It returns false if that is impossible.
func (u *Unit) match(text []byte) (d Difference, ok bool) {
	src := u.src
	if len(text) < len(src) || len(src) < swar.Size || text[len(src)-1] != '\n' {
		return Difference{}, false
	}
	text = text[:len(src)]
	last := len(u.words) - 1
	// The last word goes first, because it differs most often.
	if a, b := swar.Load(text, len(src)-swar.Size), swar.Load(src, len(src)-swar.Size); a != b {
		w := &u.words[last]
		if !w.countsUp(a, a^b) {
			if !w.becomes(a, a^b) {
				return Difference{}, false
			}
			d.loose = 1 << (last & 63)
		}
		d.words = 1 << (last & 63)
	}
	for i := 0; i <= len(src)-swar.Size; i += swar.Size {
		a, b := swar.Load(text, i), swar.Load(src, i)
		if a == b {
			continue
		}
		w, bit := &u.words[i/swar.Size], uint64(1)<<(i/swar.Size&63)
		if !w.countsUp(a, a^b) {
			if !w.becomes(a, a^b) {
				return Difference{}, false
			}
			d.loose |= bit
		}
		d.words |= bit
	}
	return d, true
}

// countsUp reports whether the bytes that differ are digits that may be replaced, and whether to has digits there as well.
func (w *word) countsUp(to, differ uint64) bool {
	return differ&^w.digits == 0 && (to&w.digits+0x06*swar.Ones)&(0x10*swar.Ones) == 0
}

// becomes reports whether all bytes that differ may be replaced by those of to.
func (w *word) becomes(to, differ uint64) bool {
	may := w.digits<<4&swar.Digits(to) | w.free&swar.Plain(to) | w.hex&swar.HexDigits(to)
	return swar.NonZero(differ)&^may == 0
}

// Len is the length of the lines in bytes.
func (u *Unit) Len() int { return len(u.src) }

// URI is where the URI is in the lines.
func (u *Unit) URI() Span { return u.uri }

// Learned is the URI of the learned lines.
func (u *Unit) Learned() []byte { return u.src[u.uri.Start:u.uri.End] }

// URL is where the URL is in the output of Append, without the bytes given to Sign.
func (u *Unit) URL() Span { return u.url }

// Append appends the result for the lines at the beginning of text, which have matched with d.
func (u *Unit) Append(dst, text []byte, d Difference) []byte {
	start := len(dst)
	dst = append(dst, u.out...)
	out := dst[start:]
	for differ := d.words; differ != 0; differ &= differ - 1 {
		w := &u.words[bits.TrailingZeros64(differ)]
		if to := swar.Load(text, int(w.at)); w.part != torn {
			swar.Store(out, int(w.to), to)
		} else {
			for d := swar.NonZero(to ^ swar.Load(u.src, int(w.at))); d != 0; d &= d - 1 {
				i := bits.TrailingZeros64(d) / 8
				out[w.each[i&7]] = byte(to >> (8 * i))
			}
		}
	}
	if u.second > 0 {
		copy(out[u.second:], text[u.name.Start:u.name.End])
	}
	return dst
}

// Sign adds bytes to the URL in the result, until the next Sign or Remap. Empty bytes remove them.
func (u *Unit) Sign(appended []byte) {
	if u.signed || len(appended) > 0 {
		u.out = append(append(u.out[:u.url.End], appended...), u.src[u.uri.End:]...)
		u.signed = len(appended) > 0
		u.place()
	}
}

// IsSigned reports whether Sign was given any bytes.
func (u *Unit) IsSigned() bool { return u.signed }

// IsAlike reports whether the URL of the matching lines differs from the learned one only in digits of its file name before the
// extension, or of its query.
func (u *Unit) IsAlike(text []byte, d Difference) bool {
	if d.loose&u.inURI != 0 {
		return false
	}
	for differ := d.words & u.apart; differ != 0; differ &= differ - 1 {
		w := &u.words[bits.TrailingZeros64(differ)]
		if swar.NonZero(swar.Load(text, int(w.at))^swar.Load(u.src, int(w.at)))&w.apart != 0 {
			return false
		}
	}
	return true
}

// tellApart finds the digits of the URI that are neither in its query nor in its file name before the extension.
func (u *Unit) tellApart() {
	u.apart, u.inURI = 0, 0
	path := u.src[u.uri.Start:u.uri.End]
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	name, query := u.uri.Start+bytes.LastIndexByte(path, '/')+1, u.uri.Start+len(path)
	dot := query
	if i := bytes.LastIndexByte(u.src[name:query], '.'); i >= 0 {
		dot = name + i
	}
	for k := range u.words {
		w, bit := &u.words[k], uint64(1)<<(k&63)
		at := int(w.at)
		w.apart = w.digits << 4 & swar.High & (swar.Between(at, u.uri.Start, name) | swar.Between(at, dot, query))
		if w.apart != 0 {
			u.apart |= bit
		}
		if swar.Between(at, u.uri.Start, u.uri.End) != 0 {
			u.inURI |= bit
		}
	}
}
