package rewrite

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"time"
)

// Window says which segments of a media playlist a player sees. The zero value shows all.
//
// Segments and Last count from the end, for live streams. From and To count from the beginning, for films: a preview, or the
// rest of a programme. If several are set, all apply. Segments stay whole: the first one contains From, and the last one is the
// last that begins before To.
//
// Segments keep their numbers, keys, initialization sections, dates and byte ranges. An EXT-X-DATERANGE among removed segments
// stays, unless the tags with its ID show that it ended before the first remaining segment begins. EXT-X-PLAYLIST-TYPE:EVENT is
// removed with the first segment, EXT-X-ENDLIST is added with To, and EXT-X-START moves along. Delta updates are not offered.
// If one comes all the same, it is cut correctly if only Segments is set, and fails with status 502 otherwise. Keep at least
// three target durations of a live playlist (section 6.2.2 of the HLS draft).
type Window struct {
	Segments int           // at most this many, the last ones. 0 or less: all
	Last     time.Duration // as many of the last as have at least this length together. 0 or less: all
	From     time.Duration // not those that end before this offset. 0 or less: from the first on
	To       time.Duration // not those that begin at this offset or later. 0 or less: to the last

	// Start sets EXT-X-START to this TIME-OFFSET in seconds; negative: from the end. nil: an existing one moves along.
	Start *float64

	// NoStart removes EXT-X-START.
	NoStart bool
}

// isSet reports whether there is anything to do.
func (w *Window) isSet() bool {
	return w.Segments > 0 || w.Last > 0 || w.From > 0 || w.To > 0 || w.Start != nil || w.NoStart
}

// windowed is a media playlist from which segments are removed. Its slices are reused for the next one.
type windowed struct {
	*Window
	src    []byte // the playlist, from origin on
	origin int
	pace   *pace
	windowParts
	out []byte // the remaining text

	log   []byte      // src, if the playlist is not too long; what later playlists have in common with it stays where it is
	by    Window      // the Window with which out was made
	start float64     // the value of by.Start then
	done  bool        // it was made
	spare windowParts // of the beginning of the next playlist

	first, last int // the segments that stay

	keys, keysOfMap []heldKey // room for those of carried
}

var errDelta = errors.New("delta update of a playlist that is cut by time")

// cut returns the part of a playlist that a player sees. It is valid until the next cut. A multivariant playlist is returned
// unchanged. A playlist that many viewers request is cut once.
func (p *windowed) cut(w *Window, pace *pace, playlist []byte) ([]byte, error) {
	known := commonPrefix(p.log[p.origin:], playlist)
	if p.done && p.by == *w && (w.Start == nil || *w.Start == p.start) && known == len(playlist) && p.origin+known == len(p.log) {
		return p.out, nil
	}
	p.Window, p.pace, p.by, p.done = w, pace, *w, false
	p.out, p.first, p.last = p.out[:0], 0, 0
	if w.Start != nil {
		p.start = *w.Start
	}
	if !p.read(p.prepare(playlist, known)) {
		p.log, p.origin = p.log[:0], 0
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
	p.done = len(p.log) > 0
	return p.out, nil
}

const maxLog = 256 << 10 // bytes

// prepare makes src of the playlist, which begins with known bytes of the last one. It forgets what is no longer true, and
// returns up to where src has been read; 0: it has to be read as a whole.
func (p *windowed) prepare(playlist []byte, known int) (begin int) {
	if p.origin+len(playlist) <= maxLog {
		if begin = p.resume(known); begin == 0 {
			begin, known = p.moveOn(playlist)
		}
	}
	if begin == 0 {
		p.forget()
		p.origin, known = 0, 0
	}
	p.log, p.src = p.log[:p.origin+known], playlist
	if len(playlist) <= maxLog {
		p.log = append(p.log, playlist[known:]...)
		p.src = p.log
	}
	return begin
}

// commonPrefix is the length of a common beginning of two texts. It may be less than the longest.
func commonPrefix(a, b []byte) int {
	n := 0
	for _, piece := range []int{8 << 10, 1 << 10, 1 << 6} {
		for len(a)-n >= piece && len(b)-n >= piece && bytes.Equal(a[n:n+piece], b[n:n+piece]) {
			n += piece
		}
	}
	if len(a) == len(b) && bytes.Equal(a[n:], b[n:]) {
		return len(a)
	}
	return n
}

// resume forgets what depends on bytes after the first known ones, and returns where to go on. If it returns 0, it has forgotten
// nothing.
func (p *windowed) resume(known int) (begin int) {
	n := p.within(known)
	if n == 0 || !p.plain {
		return 0
	}
	begin = p.segments[n-1].end
	p.marks, p.head = p.marks[:p.marksFrom(n)], p.head[:p.headFrom(begin)]
	p.segments, p.tail = p.segments[:n], begin
	return begin
}

// within is the number of segments that end, with the end of their last line, within the first known bytes.
func (p *windowed) within(known int) int {
	known += p.origin
	n, _ := slices.BinarySearchFunc(p.segments, known+1, func(s windowSegment, end int) int { return s.end - end })
	if n > 0 && p.log[p.segments[n-1].end-1] != '\n' {
		n-- // the text ends without one
	}
	return n
}

// moveOn is resume for a playlist that has lost its first segments since the last cut. The segments that are still there keep
// their places in the log, and what was read of them. The first one is read again, because a playlist may say more about its
// first segment: it is written over lost ones, with what stands before it. Then the log has the first known bytes of the playlist.
func (p *windowed) moveOn(playlist []byte) (begin, known int) {
	if !p.plain || len(p.log) == 0 {
		return 0, 0
	}
	next := windowed{src: playlist, pace: p.pace, windowParts: p.spare}
	next.forget()
	plain := next.readFirst()
	p.spare = next.windowParts
	if !plain {
		return 0, 0
	}
	gone, to := next.sequence(playlist)-p.sequence(p.log), next.tail
	if gone < 0 || gone >= len(p.segments) {
		return 0, 0
	}
	from := p.segments[gone].end
	marks, head := p.marksFrom(gone+1)-len(next.marks), p.headFrom(from)-len(next.head)
	if from < to || marks < 0 || head < 0 {
		return 0, 0
	}
	p.origin, p.lost = from-to, p.lost+gone
	p.segments, p.marks, p.head = p.segments[gone:], p.marks[marks:], p.head[head:]
	copy(p.log[p.origin:], playlist[:to])
	p.segments[0] = next.segments[0].moved(p.origin)
	for i, m := range next.marks {
		m.span, m.segment = m.moved(p.origin), p.lost
		p.marks[i] = m
	}
	for i, line := range next.head {
		p.head[i] = line.moved(p.origin)
	}
	known = to + commonPrefix(p.log[from:], playlist[to:])
	return p.resume(known), known
}

// isLarge reports whether it holds more memory than is worth keeping.
func (p *windowed) isLarge() bool {
	return p.windowParts.isLarge() || p.spare.isLarge() || cap(p.out) > maxLog
}

// durationOf is the length of a segment.
func (p *windowed) durationOf(s windowSegment) time.Duration {
	if s.inf == 0 {
		return 0
	}
	return parseSeconds(p.src[s.inf:s.end])
}

// lengthOf is the total length of some segments.
func (p *windowed) lengthOf(segments []windowSegment) (sum time.Duration) {
	for _, s := range segments {
		sum += p.durationOf(s)
	}
	return sum
}

// choose finds the segments that stay, at least one.
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

// write builds the playlist: the head, what still applies from the removed segments, the remaining ones, the tail.
func (p *windowed) write() {
	gone := p.first
	if p.skipped > 0 {
		gone = 0 // skipped segments are the first to go
		if n := p.Segments; n > 0 {
			gone = max(p.skipped+len(p.segments)-n, 0)
		}
	}
	kept := p.segments[p.first:p.last]
	begin, end := p.segments[0].start, kept[0].start
	c := carried{windowed: p, keys: p.keys[:0], keysOfMap: p.keysOfMap[:0]}
	c.read()
	p.keys, p.keysOfMap = c.keys, c.keysOfMap
	h := windowHead{windowed: p, gone: gone, discontinuities: c.discontinuities}
	out, cursor := p.out, p.origin
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
		p.out = append(out, "#EXT-X-ENDLIST\n"...)
		return
	}
	p.out = h.appendText(out, span{p.tail, len(p.src)})
}

// lines calls f with each line, without its end.
func lines(src []byte, f func(whole span, line []byte)) {
	s := scanner{}
	s.start(src, playlistStart(src))
	for s.pos < len(src) {
		from := s.pos
		start, end := trimBlanks(src, from, s.lineEnd())
		f(span{from, s.pos}, src[start:end])
	}
}

// appendFirst appends one of the first segments. Byte ranges that begin where a removed one ended become absolute: offsets has
// these ends by URI. The first such range of a URI is the last.
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
			delete(offsets, own) // the next one follows this one
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
