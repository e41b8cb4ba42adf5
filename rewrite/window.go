package rewrite

import (
	"bytes"
	"errors"
	"strconv"
	"time"
)

// Window says which segments of a media playlist a player sees. The zero value shows all.
//
// Segments and Last count from the end, for live streams; From and To from the beginning, for films: a preview, or what is
// left of a programme. Where several are set, all hold. Segments stay whole: the one in which From lies is the first, the
// one before which To lies the last.
//
// Segments keep their numbers, their keys, initialization sections, dates and byte ranges. An EXT-X-DATERANGE among the
// segments that go stays, unless all that is said of its ID shows that it ended before the first segment that stays begins.
// EXT-X-PLAYLIST-TYPE:EVENT goes with the first segment, EXT-X-ENDLIST comes with To, and EXT-X-START moves along. Delta
// updates are not offered; one that comes all the same is cut right if only Segments is set, and fails with status 502
// otherwise. A live playlist should keep three target durations at least (section 6.2.2 of the HLS draft).
type Window struct {
	Segments int           // at most so many, the last. 0 or less: all
	Last     time.Duration // so many of the last that they have at least this length together. 0 or less: all
	From     time.Duration // without those that end before this offset. 0 or less: from the first on
	To       time.Duration // without those that begin at this offset or later. 0 or less: to the last

	// Start sets EXT-X-START to this TIME-OFFSET in seconds, negative from the end. nil: one that is there moves along.
	Start *float64

	// NoStart removes EXT-X-START.
	NoStart bool
}

// isSet tells whether there is anything to do.
func (w *Window) isSet() bool {
	return w.Segments > 0 || w.Last > 0 || w.From > 0 || w.To > 0 || w.Start != nil || w.NoStart
}

// windowed is a media playlist on its way to have fewer segments. Its slices are used again for the next one.
type windowed struct {
	*Window
	src      []byte
	pace     *pace
	segments []windowSegment
	head     []span       // lines that hold for the playlist, wherever they stand
	marks    []windowMark // lines that say something of segments beside EXTINF, wherever they stand
	tail     int          // where what follows the last segment begins
	skipped  int          // by a delta update
	text     []byte       // what is left

	whole []byte  // a copy of the playlist that text was made of, if it is not too long
	by    Window  // and how
	start float64 // what by.Start pointed to
	done  bool    // and it was made
	plain bool    // and it begins with EXTM3U and its lines end in LF, so that what they mean does not depend on those behind

	first, last int // the segments that stay
}

// windowSegment is a segment, with the lines before its URI.
type windowSegment struct {
	span
	uri int // where the line of its URI begins
	inf int // where the value of its EXTINF begins; 0: it has none
}

// windowMark is a line of a segment, without blanks around it.
type windowMark struct {
	span
	scope
	segment int
	plain   int // of a key: see plainKey
}

var errDelta = errors.New("delta update of a playlist that is cut by time")

// cut returns the part of a playlist that a player sees; it is valid until the next cut. A multivariant playlist is returned
// as it is. What many viewers ask for is cut once.
func (p *windowed) cut(w *Window, pace *pace, playlist []byte) ([]byte, error) {
	known := commonPrefix(p.whole, playlist)
	if p.done && p.by == *w && (w.Start == nil || *w.Start == p.start) && known == len(playlist) && known == len(p.whole) {
		return p.text, nil
	}
	p.Window, p.pace, p.by, p.done = w, pace, *w, false
	p.text, p.first, p.last = p.text[:0], 0, 0
	if w.Start != nil {
		p.start = *w.Start
	}
	begin := p.resume(known)
	p.src, p.whole = playlist, p.whole[:known]
	if len(playlist) <= maxWhole {
		p.whole = append(p.whole, playlist[known:]...)
	} else {
		p.whole = p.whole[:0]
	}
	if !p.read(begin) {
		p.whole = p.whole[:0]
		return playlist, pace.err
	}
	if p.skipped > 0 && (w.Last > 0 || w.From > 0 || w.To > 0) {
		return nil, badGateway("playlist cannot be cut", errDelta)
	}
	p.choose()
	p.write()
	if pace.err != nil {
		return nil, pace.err
	}
	p.done = len(p.whole) > 0
	return p.text, nil
}

const maxWhole = 256 << 10 // bytes of a playlist that is remembered

// commonPrefix is how many bytes two texts have in common at the least, from their beginning on.
func commonPrefix(a, b []byte) int {
	const piece = 1 << 10
	n := 0
	for len(a)-n >= piece && len(b)-n >= piece && bytes.Equal(a[n:n+piece], b[n:n+piece]) {
		n += piece
	}
	if len(a) == len(b) && bytes.Equal(a[n:], b[n:]) {
		return len(a)
	}
	return n
}

// resume forgets what was not read in so many of the first bytes, and returns where to go on.
func (p *windowed) resume(known int) (begin int) {
	n := len(p.segments)
	for n > 0 && (p.segments[n-1].end > known || p.whole[p.segments[n-1].end-1] != '\n') {
		n--
	}
	if n == 0 || !p.plain {
		p.forget()
		return 0
	}
	begin = p.segments[n-1].end
	p.marks, p.head = p.marks[:p.marksFrom(n)], p.head[:p.headFrom(begin)]
	p.segments, p.tail = p.segments[:n], begin
	return begin
}

func (p *windowed) forget() {
	p.segments, p.head, p.marks, p.tail, p.skipped = p.segments[:0], p.head[:0], p.marks[:0], 0, 0
}

// isLarge tells whether it holds more memory than is worth keeping.
func (p *windowed) isLarge() bool {
	const most = 8 << 10
	return cap(p.segments) > most || cap(p.head) > most || cap(p.marks) > most || cap(p.text) > maxWhole
}

// durationOf is the length of a segment.
func (p *windowed) durationOf(s windowSegment) time.Duration {
	if s.inf == 0 {
		return 0
	}
	return parseSeconds(p.src[s.inf:s.end])
}

// lengthOf is how long some segments are together.
func (p *windowed) lengthOf(segments []windowSegment) (sum time.Duration) {
	for _, s := range segments {
		sum += p.durationOf(s)
	}
	return sum
}

// parseSeconds reads a decimal number of seconds exactly, so that sums do not depend on where they begin. What is behind it
// does not matter.
func parseSeconds(text []byte) time.Duration {
	text = bytes.TrimLeft(text, " \t")
	seconds, at := time.Duration(0), 0
	for ; at < len(text) && text[at]-'0' < 10; at++ {
		if seconds = 10*seconds + time.Duration(text[at]-'0'); seconds > 1<<31 {
			return 0
		}
	}
	seconds *= time.Second
	if at == len(text) || text[at] != '.' {
		return seconds
	}
	for unit := time.Second / 10; at+1 < len(text) && text[at+1]-'0' < 10; at, unit = at+1, unit/10 {
		seconds += unit * time.Duration(text[at+1]-'0')
	}
	return seconds
}

// choose finds the segments that stay. One stays in any case.
func (p *windowed) choose() {
	p.last = len(p.segments)
	if p.From > 0 || p.To > 0 {
		at := time.Duration(0)
		for i, s := range p.segments {
			if p.To > 0 && at >= p.To {
				p.last = max(i, 1)
				break
			}
			at += p.durationOf(s)
			if p.From > 0 && at <= p.From && i+1 < len(p.segments) {
				p.first = i + 1
			}
		}
	}
	p.first = min(p.first, p.last-1)
	if n := p.Segments; n > 0 {
		p.first = max(p.first, p.last-n)
	}
	if p.Last > 0 {
		i, sum := p.last, time.Duration(0)
		for i > p.first && sum < p.Last {
			i--
			sum += p.durationOf(p.segments[i])
		}
		p.first = i
	}
}

// write puts the playlist together: the head, what holds on from the segments that are gone, those that stay, the tail.
func (p *windowed) write() {
	gone := p.first
	if p.skipped > 0 {
		gone = 0 // those that are skipped go first
		if n := p.Segments; n > 0 {
			gone = max(p.skipped+len(p.segments)-n, 0)
		}
	}
	kept := p.segments[p.first:p.last]
	begin, end := p.segments[0].start, kept[0].start
	c := carried{windowed: p}
	c.read()
	h := windowHead{windowed: p, gone: gone, discontinuities: c.discontinuities}
	out, cursor := p.text, 0
	for _, line := range p.head {
		if line.start >= begin {
			break
		}
		out = h.append(append(out, p.src[cursor:line.start]...), line)
		cursor = line.end
	}
	out = append(out, p.src[cursor:begin]...)
	out = h.appendMissing(out)
	if p.first > 0 {
		out = h.appendAmong(out, span{begin, end}, c.begin)
	}
	out = c.append(out)
	done := 1
	for out = p.appendFirst(out, kept[0], c.offsets); len(c.offsets) > 0 && done < len(kept); done++ {
		out = h.appendText(out, span{kept[done-1].end, kept[done].start})
		out = p.appendFirst(out, kept[done], c.offsets)
	}
	if done < len(kept) {
		out = h.appendText(out, span{kept[done-1].end, kept[len(kept)-1].end})
	}
	if p.last < len(p.segments) {
		p.text = append(out, "#EXT-X-ENDLIST\n"...)
		return
	}
	p.text = h.appendText(out, span{p.tail, len(p.src)})
}

// lines calls f with each line, without its end.
func lines(src []byte, f func(whole span, line []byte)) {
	s := scanner{}
	s.reset(src)
	for s.pos < len(src) {
		from := s.pos
		start, end := trimBlanks(src, from, s.lineEnd())
		f(span{from, s.pos}, src[start:end])
	}
}

// appendFirst appends one of the first segments, with byte ranges made absolute that begin where one that is gone ended:
// offsets, by URI. The first of them is the last.
func (p *windowed) appendFirst(out []byte, s windowSegment, offsets map[string]int64) []byte {
	text := p.src[s.start:s.end]
	if len(offsets) == 0 {
		return append(out, text...)
	}
	uri := string(bytes.TrimSpace(p.src[s.uri:s.end]))
	var edits []edit
	ranged := false
	lines(text, func(whole span, line []byte) {
		name, value, _ := bytes.Cut(line, []byte{':'})
		switch string(name) {
		case "#EXT-X-BYTERANGE":
			if o, ok := offsets[uri]; ok && !bytes.Contains(value, []byte{'@'}) {
				at := whole.start + bytes.Index(text[whole.start:whole.end], line) + len(line)
				edits = append(edits, edit{span{at, at}, "@" + strconv.FormatInt(o, 10)})
			}
			ranged = true
		case "#EXT-X-PART":
			attrs := attrList{src: text, pos: whole.start + len(name) + 1, end: whole.start + len(line)}
			r, own := partRange(attrs)
			if o, ok := offsets[own]; ok && r.end > r.start && !bytes.Contains(text[r.start:r.end], []byte{'@'}) {
				edits = append(edits, edit{span{r.end, r.end}, "@" + strconv.FormatInt(o, 10)})
			}
			delete(offsets, own) // the next follows this one
		}
	})
	if ranged {
		clear(offsets)
	}
	return append(out, edited(text, edits)...)
}

func partRange(attrs attrList) (at span, uri string) {
	for attrs.next() {
		switch string(attrs.name()) {
		case "BYTERANGE":
			at = span{attrs.from, attrs.to}
		case "URI":
			uri = string(attrs.value())
		}
	}
	return at, uri
}
