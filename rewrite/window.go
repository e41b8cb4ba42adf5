package rewrite

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"
)

// Window says which segments of a media playlist a player sees. The zero value shows all.
//
// Segments and Last count from the end, for live streams; From and To from the beginning, for films: a preview, or what is
// left of a programme. Where several are set, all hold. Segments stay whole: the one in which From lies is the first, the
// one before which To lies the last.
//
// Segments keep their numbers, their keys, initialization sections, dates and byte ranges. EXT-X-PLAYLIST-TYPE:EVENT goes
// with the first segment, EXT-X-ENDLIST comes with To, and EXT-X-START moves along. Delta updates are not offered; one that
// comes all the same is cut right if only Segments is set, and fails with status 502 otherwise. A live playlist should
// keep three target durations at least (section 6.2.2 of the HLS draft).
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

// windowed is a media playlist on its way to have fewer segments.
type windowed struct {
	*Window
	src      []byte
	segments []windowSegment
	head     []span // lines that hold for the playlist, wherever they stand
	tail     int    // where what follows the last segment begins
	ended    bool
	skipped  int // by a delta update

	first, last int           // the segments that stay
	before      time.Duration // what is cut off at the beginning
	length      time.Duration // of all segments
}

// windowSegment is a segment, with the lines before its URI.
type windowSegment struct {
	span
	uri      span
	duration time.Duration
}

var errDelta = errors.New("delta update of a playlist that is cut by time")

// cut returns the part of a playlist that a player sees. A multivariant playlist is returned as it is.
func (w *Window) cut(playlist []byte) ([]byte, error) {
	p := &windowed{Window: w, src: playlist, segments: make([]windowSegment, 0, 64)}
	if !p.read() {
		return playlist, nil
	}
	if p.skipped > 0 && (w.Last > 0 || w.From > 0 || w.To > 0) {
		return nil, badGateway("playlist cannot be cut", errDelta)
	}
	p.choose()
	return p.write(), nil
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

// read finds the segments. false: it is no media playlist.
func (p *windowed) read() bool {
	media := true
	next := windowSegment{span: span{-1, -1}}
	lines(p.src, func(whole span, line []byte) {
		switch {
		case len(line) == 0 || !media:
			return
		case line[0] != '#':
			next.uri, next.end = whole, whole.end
			if next.start < 0 {
				next.start = whole.start
			}
			p.segments = append(p.segments, next)
			p.length += next.duration
			p.tail = whole.end
			next = windowSegment{span: span{-1, -1}}
			return
		}
		name, value, _ := bytes.Cut(line, []byte{':'})
		switch tagScope(name) {
		case ofMultivariant:
			media = false
			return
		case ofPlaylist:
			p.head = append(p.head, whole)
			switch string(name) {
			case "#EXT-X-ENDLIST":
				p.ended = true
			case "#EXT-X-SKIP":
				attrs := attrList{src: value, end: len(value)}
				n, _ := attrs.lookup("SKIPPED-SEGMENTS")
				p.skipped, _ = strconv.Atoi(string(n))
			}
			return
		case ofSegment:
		case unscoped:
			if next.start < 0 && len(p.segments) == 0 {
				return // a comment in the head
			}
		}
		if next.start < 0 {
			next.start = whole.start
		}
		if string(name) == "#EXTINF" {
			seconds, _, _ := bytes.Cut(value, []byte{','})
			next.duration = parseSeconds(seconds)
		}
	})
	return media && len(p.segments) > 0
}

// scope is what a tag belongs to.
type scope uint8

const (
	unscoped scope = iota // a comment, or a tag that is not known: what it stands before
	ofPlaylist
	ofSegment
	ofMultivariant
)

func tagScope(name []byte) scope {
	switch string(name) {
	case "#EXTINF", "#EXT-X-BYTERANGE", "#EXT-X-DISCONTINUITY", "#EXT-X-KEY", "#EXT-X-MAP", "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-GAP",
		"#EXT-X-BITRATE", "#EXT-X-PART", "#EXT-X-CUE-OUT", "#EXT-X-CUE-IN", "#EXT-X-CUE-OUT-CONT", "#EXT-OATCLS-SCTE35", "#EXT-X-SCTE35":
		return ofSegment
	case "#EXTM3U", "#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE", "#EXT-X-ENDLIST",
		"#EXT-X-PLAYLIST-TYPE", "#EXT-X-I-FRAMES-ONLY", "#EXT-X-PART-INF", "#EXT-X-SERVER-CONTROL", "#EXT-X-SKIP", "#EXT-X-START",
		"#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-DEFINE", "#EXT-X-ALLOW-CACHE", "#EXT-X-DATERANGE", "#EXT-X-RENDITION-REPORT",
		"#EXT-X-PRELOAD-HINT", "#EXT-X-PREFETCH", "#EXT-X-TWITCH-PREFETCH", "#EXT-X-IMAGES-ONLY":
		return ofPlaylist
	case "#EXT-X-STREAM-INF", "#EXT-X-MEDIA", "#EXT-X-I-FRAME-STREAM-INF", "#EXT-X-SESSION-DATA", "#EXT-X-SESSION-KEY", "#EXT-X-CONTENT-STEERING":
		return ofMultivariant
	}
	return unscoped
}

// parseSeconds reads a decimal number of seconds exactly, so that sums do not depend on where they begin.
func parseSeconds(text []byte) time.Duration {
	whole, fraction, _ := strings.Cut(string(bytes.TrimSpace(text)), ".")
	seconds, err := strconv.ParseUint(whole, 10, 31)
	if err != nil {
		return 0
	}
	nanos, _ := strconv.ParseUint((fraction + "000000000")[:9], 10, 32)
	return time.Duration(seconds)*time.Second + time.Duration(nanos)
}

// choose finds the segments that stay. One stays in any case.
func (p *windowed) choose() {
	p.last = len(p.segments)
	at := time.Duration(0)
	for i, s := range p.segments {
		if p.To > 0 && at >= p.To {
			p.last = max(i, 1)
			break
		}
		at += s.duration
		if p.From > 0 && at <= p.From && i+1 < len(p.segments) {
			p.first = i + 1
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
			sum += p.segments[i].duration
		}
		p.first = i
	}
	for _, s := range p.segments[:p.first] {
		p.before += s.duration
	}
}

// write puts the playlist together: the head, what holds on from the segments that are gone, those that stay, the tail.
func (p *windowed) write() []byte {
	gone := p.first
	if p.skipped > 0 {
		gone = 0 // those that are skipped go first
		if n := p.Segments; n > 0 {
			gone = max(p.skipped+len(p.segments)-n, 0)
		}
	}
	kept := p.segments[p.first:p.last]
	begin, end := p.segments[0].start, kept[0].start
	out := make([]byte, 0, len(p.src)-(end-begin)+512)
	h := windowHead{windowed: p, gone: gone}
	c := carried{}
	if p.first > 0 {
		c.read(p.src[begin:end])
	}
	h.discontinuities = c.discontinuities
	cursor := 0
	for _, line := range p.head {
		if line.start >= begin {
			break
		}
		out = h.append(append(out, p.src[cursor:line.start]...), line)
		cursor = line.end
	}
	out = append(out, p.src[cursor:begin]...)
	out = h.appendMissing(out)
	ranges := h.rangesFrom(begin, end)
	out = append(out, ranges...)
	out = c.append(out, p.src[kept[0].start:kept[0].end])
	done := 1
	for out = p.appendFirst(out, kept[0], c.offsets); len(c.offsets) > 0 && done < len(kept); done++ {
		out = h.appendText(out, span{kept[done-1].end, kept[done].start})
		out = p.appendFirst(out, kept[done], c.offsets)
	}
	if done < len(kept) {
		out = h.appendText(out, span{kept[done-1].end, kept[len(kept)-1].end})
	}
	if p.last < len(p.segments) {
		return append(out, "#EXT-X-ENDLIST\n"...)
	}
	return h.appendText(out, span{p.tail, len(p.src)})
}

// appendFirst appends one of the first segments, with byte ranges made absolute that begin where one that is gone ended:
// offsets, by URI. The first of them is the last.
func (p *windowed) appendFirst(out []byte, s windowSegment, offsets map[string]int64) []byte {
	text := p.src[s.start:s.end]
	if len(offsets) == 0 {
		return append(out, text...)
	}
	uri := string(bytes.TrimSpace(p.src[s.uri.start:s.uri.end]))
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
