package rewrite

import (
	"bytes"
	"strconv"
	"time"
)

// windowParts are the parts of a playlist.
type windowParts struct {
	lost     int // how many segments were before the first one, when the log began
	segments []windowSegment
	head     []span       // lines that apply to the playlist, wherever they are
	marks    []windowMark // lines about segments other than EXTINF, wherever they are
	tail     int          // where the part after the last segment begins
	skipped  int          // by a delta update
	plain    bool         // it begins with EXTM3U and its lines end in LF, so that no line depends on later ones
}

// windowSegment is a segment, with the lines before its URI.
type windowSegment struct {
	span
	uri int // where the line of its URI begins
	inf int // where the value of its EXTINF begins; 0: it has none
}

// windowMark is a line about a segment, without surrounding blanks.
type windowMark struct {
	span
	scope
	segment int  // counted from the beginning of the log
	plain   bool // a key of the format identity, at a glance
}

func (s windowSegment) moved(by int) windowSegment {
	s.span, s.uri = s.span.moved(by), s.uri+by
	if s.inf != 0 {
		s.inf += by
	}
	return s
}

func (s span) moved(by int) span { return span{s.start + by, s.end + by} }

// sequence is the media sequence number of the first segment.
func (p *windowParts) sequence(src []byte) int {
	for _, line := range p.head {
		if value, ok := bytes.CutPrefix(src[line.start:line.end], []byte("#EXT-X-MEDIA-SEQUENCE:")); ok {
			n, _ := strconv.Atoi(string(bytes.TrimSpace(value)))
			return n
		}
		if line.start > p.segments[0].start {
			break
		}
	}
	return 0
}

func (p *windowParts) forget() {
	p.segments, p.head, p.marks = p.segments[:0], p.head[:0], p.marks[:0]
	p.lost, p.tail, p.skipped, p.plain = 0, 0, 0, false
}

func (p *windowParts) isLarge() bool {
	const most = 8 << 10
	return cap(p.segments) > most || cap(p.head) > most || cap(p.marks) > most
}

// parseSeconds reads a decimal number of seconds exactly, so that sums do not depend on where they begin. It ignores what
// follows the number.
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
