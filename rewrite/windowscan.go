package rewrite

import (
	"bytes"
	"math"
	"slices"
	"strconv"

	"github.com/hlsproxy/hlsproxy/rewrite/internal/swar"
)

// read finds the segments. It returns false if this is not a media playlist, or if nobody waits for it any longer.
//
// Most lines of a playlist have the length of earlier ones. So the end of a line is guessed, and searched for only if the guess
// finds no line end. The number of line ends shows whether a guess has skipped one. Text before begin has been read.
func (p *windowed) read(begin int) bool {
	if begin == 0 {
		begin = playlistStart(p.src)
		p.plain = isMagicLine(p.src[begin:])
	}
	if bytes.IndexByte(p.src[begin:], '\r') < 0 {
		if ends, _, media := p.guess(begin, math.MaxInt); !media || ends == bytes.Count(p.src[begin:], newline) {
			return media && len(p.segments) > 0
		}
	}
	p.plain = false
	p.forget()
	s := scanner{src: p.src, pos: p.origin + playlistStart(p.src[p.origin:]), lf: -1}
	l := windowLines{windowed: p, start: -1}
	for look := 0; s.pos < len(p.src); {
		if s.pos >= look {
			if look = s.pos + perCount; !p.pace.work(perCount) {
				return false
			}
		}
		from := s.pos
		end := s.lineEnd()
		if !l.take(from, end, s.pos) {
			return false
		}
	}
	return len(p.segments) > 0
}

var newline = []byte{'\n'}

// readFirst reads up to the end of the first segment. It returns false if later lines decide what these lines mean.
func (p *windowed) readFirst() bool {
	begin := playlistStart(p.src)
	if p.plain = isMagicLine(p.src[begin:]); !p.plain {
		return false
	}
	ends, at, media := p.guess(begin, 1)
	first := p.src[begin:at]
	return media && p.plain && len(p.segments) == 1 && bytes.IndexByte(first, '\r') < 0 && ends == bytes.Count(first, newline)
}

// guess reads lines that end in LF until there are so many segments. It returns how many line ends it has met, and where it
// stopped. media is false if this is not a media playlist, as far as guesses can tell.
func (p *windowed) guess(from, segments int) (ends, at int, media bool) {
	l := windowLines{windowed: p, start: -1}
	src := p.src
	inf, uri, same := 0, 0, 0 // the lengths of the last such lines, and of the last other line
	at = from
	for look := 0; at < len(src) && len(p.segments) < segments; {
		if at >= look {
			if look = at + perCount; !p.pace.work(min(perCount, len(src)-at)) {
				return 0, at, false
			}
		}
		if l.start < 0 && inf > 0 && uri > 0 {
			at, ends = l.repeat(at, ends, inf, inf+uri+2)
			if at == len(src) {
				break
			}
		}
		from := at
		switch c := src[from]; {
		case c == '#' && len(src)-from >= swar.Size && swar.Load(src, from) == infWord:
			end := guessedEnd(src, from, inf)
			inf = end - from
			at = min(end+1, len(src))
			if l.start < 0 {
				l.start = from
			}
			l.inf = from + len(infTag)
		case c > '#' && c < 0x7f:
			end := guessedEnd(src, from, uri)
			uri = end - from
			at = min(end+1, len(src))
			l.takeURI(from, at)
		case l.scope > ofLength && len(l.name) > 0 && bytes.HasPrefix(src[from:], l.name):
			end := guessedEnd(src, from, same)
			same = end - from
			at = min(end+1, len(src))
			l.takeMark(trimBlanks(src, from, end))
		default:
			end := until(src, from, len(src), '\n')
			at, same = min(end+1, len(src)), end-from
			if !l.take(from, end, at) {
				return 0, at, false
			}
		}
		ends++
	}
	if ends > 0 && src[at-1] != '\n' {
		ends--
	}
	return ends, at, true
}

// guessedEnd is where a line of this length ends, if there is a line end.
func guessedEnd(src []byte, from, length int) int {
	if end := from + length; length > 0 && end < len(src) && src[end] == '\n' {
		return end
	}
	return until(src, from, len(src), '\n')
}

// repeat reads segments of two lines with the lengths of the last ones: an EXTINF and a URI.
func (l *windowLines) repeat(at, ends, inf, both int) (next, met int) {
	src, begin, n := l.src, at, len(l.segments)
	most := (len(src) - at) / both
	if most == 0 || !isSegment(src[at:at+both:at+both], inf) {
		return at, ends // no room is made for what may never come
	}
	all := slices.Grow(l.segments, most)[:n+most]
	for most = n + most; n < most; n++ {
		s := src[at : at+both : at+both]
		if !isSegment(s, inf) {
			break
		}
		all[n] = windowSegment{span{at, at + both}, at + inf + 1, at + len(infTag)}
		at += both
	}
	if at > begin {
		ends += 2 * (n - len(l.segments))
		l.segments, l.tail = all[:n], at
	}
	return at, ends
}

// isSegment reports whether s is two such lines.
func isSegment(s []byte, inf int) bool {
	return swar.Load(s, 0) == infWord && s[inf] == '\n' && s[len(s)-1] == '\n' && s[inf+1]-'$' < 0x7f-'$'
}

const infTag = "#EXTINF:"

var infWord = swar.Load([]byte(infTag), 0)

// windowLines reads the lines of a media playlist.
type windowLines struct {
	*windowed
	start int // where the next segment begins; -1: not begun
	inf   int // where its length is; 0: it has none

	name  []byte // the last tag that was looked up, with its colon
	scope scope  // the scope of that tag
}

// takeURI reads a line with the URI of a segment.
func (l *windowLines) takeURI(from, next int) {
	if l.start < 0 {
		l.start = from
	}
	l.segments = append(l.segments, windowSegment{span{l.start, next}, from, l.inf})
	l.tail, l.start, l.inf = next, -1, 0
}

// take reads any line; the next one begins at next. It returns false if this is not a media playlist.
func (l *windowLines) take(from, end, next int) bool {
	start, end := trimBlanks(l.src, from, end)
	whole, line := span{from, next}, l.src[start:end]
	switch {
	case len(line) == 0:
		return true
	case line[0] != '#':
		l.takeURI(from, next)
		return true
	}
	if len(l.name) == 0 || !bytes.HasPrefix(line, l.name) {
		l.name = line[:until(line, 0, len(line), ':')]
		l.scope = tagScope(l.name)
		if len(l.name) < len(line) {
			l.name = line[:len(l.name)+1] // with the colon: no longer name begins like this
		} else {
			l.name = nil
		}
	}
	scope := l.scope
	switch scope {
	case ofMultivariant:
		return false
	case ofPlaylist:
		l.head = append(l.head, whole)
		if list, ok := bytes.CutPrefix(line, []byte("#EXT-X-SKIP:")); ok {
			attrs := attrList{src: list, end: len(list)}
			n, _ := attrs.lookup("SKIPPED-SEGMENTS")
			skipped, _ := strconv.Atoi(string(n))
			l.skipped, l.plain = min(skipped, math.MaxInt32), false
		}
		return true
	case unscoped:
		if l.start < 0 && len(l.segments) == 0 {
			return true // a comment in the head
		}
	}
	if l.start < 0 {
		l.start = from
	}
	switch {
	case scope == ofLength:
		l.inf = start + min(len(infTag), len(line))
	case scope > ofSegment:
		l.takeMark(start, end)
	}
	return true
}

// takeMark reads a line of the tag that was looked up last.
func (l *windowLines) takeMark(start, end int) {
	if l.start < 0 {
		l.start = start
	}
	plain := l.scope == ofKey && isPlainKey(l.src[start:end])
	l.marks = append(l.marks, windowMark{span{start, end}, l.scope, l.lost + len(l.segments), plain})
}

// scope is what a tag applies to.
type scope uint8

const (
	unscoped scope = iota // a comment or an unknown tag: it goes with the line after it
	ofPlaylist
	ofMultivariant
	ofSegment // the scopes from here on are about the segment
	ofLength
	ofRange
	ofPart
	ofKey
	ofSection
	ofDate
	ofBitrate
	ofDiscontinuity
)

func tagScope(name []byte) scope {
	switch string(name) {
	case "#EXTINF":
		return ofLength
	case "#EXT-X-BYTERANGE":
		return ofRange
	case "#EXT-X-PART":
		return ofPart
	case "#EXT-X-KEY":
		return ofKey
	case "#EXT-X-MAP":
		return ofSection
	case "#EXT-X-PROGRAM-DATE-TIME":
		return ofDate
	case "#EXT-X-BITRATE":
		return ofBitrate
	case "#EXT-X-DISCONTINUITY":
		return ofDiscontinuity
	case "#EXT-X-GAP", "#EXT-X-CUE-OUT", "#EXT-X-CUE-IN", "#EXT-X-CUE-OUT-CONT", "#EXT-OATCLS-SCTE35", "#EXT-X-SCTE35":
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
