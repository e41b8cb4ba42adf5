package memo

import (
	"bytes"
	"math/bits"

	"github.com/hlsproxy/hlsproxy/rewrite/internal/swar"
)

// A Unit is lines that hold one URI between them, and what they became.
type Unit struct {
	// Note is the caller's.
	Note Note

	src   []byte   // the lines, the last ends in LF
	out   []byte   // what they became
	words []word   // of src; the last overlaps the one before
	moved []uint16 // how much further each byte of the URI below its directory is because of escapes; nil: not at all
	room  struct { // what these begin with, lest each is allocated
		src   [maxLines]byte
		out   [2 * maxLines]byte
		words [maxLines / swar.Size]word
		moved [maxLines]uint16
	}
	uri    Span // in src
	below  int  // where in it what is below its directory begins
	url    Span // in out, not signed
	rest   int  // where in it what is below the directory begins
	name   Span // the file name in src
	second int  // where in out that stands once more; 0: nowhere

	signed bool   // out has what was appended to the URL
	apart  uint64 // the words with digits that tell URLs apart which are not signed alike
	inURI  uint64 // the words of the URI

	next *Unit // what followed last time
}

// A Note is what the caller has to know of a unit besides. It stands in the unit since a look elsewhere costs 3 % of rewriting.
type Note struct {
	Form, Kind  uint8 // of the URI, in the numbers of the caller
	Child, Init bool  // the URI is that of a variant or rendition, or of an initialization section
	Turn, Pass  int   // the directory for which the lines were mapped, and the playlist for which signing was looked into
	Varied      bool  // there were URLs that are not signed alike
}

// Span is from where to where something stands in a text.
type Span struct{ Start, End int }

// maxLines is how long the lines of a unit may be: a bit of a Difference stands for each of their words.
const maxLines = 64 * swar.Size

// fits tells whether there is room for lines and what they become.
func fits(lines, url int) bool {
	return lines >= swar.Size && lines <= maxLines && lines+url <= 2*maxLines
}

// A word is what is to be known of eight bytes of a unit.
type word struct {
	digits uint64            // the bits in which those of them differ that may be replaced by other digits
	free   uint64            // the bytes that may be replaced by any without a meaning
	hex    uint64            // the hexadecimal digits that may be replaced by others: of the IV of a key
	apart  uint64            // the digits which tell URLs apart that are not signed alike
	at     uint16            // where in src they begin
	part   part              // in which they are
	to     uint16            // where in out they begin, unless they are torn
	each   [swar.Size]uint16 // where each of them is, if they are
}

// part is a part of the lines that stands in out as it is in src.
type part uint8

const (
	torn   part = iota // not one of them
	before             // the URI
	within             // what of the URI is below its directory
	behind             // the URI
)

// Difference is where lines differ from those of the unit that they match. It holds for these two only.
type Difference struct {
	words uint64 // those that are to be replaced
	loose uint64 // those of them in which there is more to be replaced than digits
}

// match finds out what is to be replaced to make the unit what text begins with. false: it cannot be made that.
func (u *Unit) match(text []byte) (d Difference, ok bool) {
	src := u.src
	if len(text) < len(src) || len(src) < swar.Size || text[len(src)-1] != '\n' {
		return Difference{}, false
	}
	text = text[:len(src)]
	last := len(u.words) - 1
	// The last word goes first, as it tells most.
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

// countsUp tells whether the bytes that differ are digits that may be replaced, and are digits again in the word given.
func (w *word) countsUp(to, differ uint64) bool {
	return differ&^w.digits == 0 && (to&w.digits+0x06*swar.Ones)&(0x10*swar.Ones) == 0
}

// becomes tells whether all bytes that differ may be replaced by those in the word given.
func (w *word) becomes(to, differ uint64) bool {
	may := w.digits<<4&swar.Digits(to) | w.free&swar.Plain(to) | w.hex&swar.HexDigits(to)
	return swar.NonZero(differ)&^may == 0
}

// Len is how many bytes the lines have.
func (u *Unit) Len() int { return len(u.src) }

// URI is where in the lines their URI stands.
func (u *Unit) URI() Span { return u.uri }

// Learned is the URI of the lines that were learned.
func (u *Unit) Learned() []byte { return u.src[u.uri.Start:u.uri.End] }

// URL is where in what Append appends the URL stands, without what Sign was given.
func (u *Unit) URL() Span { return u.url }

// Append appends what the lines become that text begins with. They have matched with d.
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

// Sign makes what is appended to the URL a part of what the lines become, until the next Sign or Remap. None takes it away.
func (u *Unit) Sign(appended []byte) {
	if u.signed || len(appended) > 0 {
		u.out = append(append(u.out[:u.url.End], appended...), u.src[u.uri.End:]...)
		u.signed = len(appended) > 0
		u.place()
	}
}

// IsSigned reports whether Sign was given something.
func (u *Unit) IsSigned() bool { return u.signed }

// IsAlike reports whether the URL of lines that have matched differs from the one learned in nothing but digits of its file
// name before the extension, or of its query.
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

// tellApart finds the digits of the URI that stand neither in its query nor in its file name before the extension.
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
