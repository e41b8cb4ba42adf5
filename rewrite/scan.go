package rewrite

import "bytes"

// form is how a URI is written in the text. It decides what its replacement may contain.
type form uint8

const (
	line   form = iota // the rest of a line
	quoted             // between quotes
	bare               // an attribute value without quotes
)

// token is a place with a URI, without quotes and surrounding blanks. The token of an EXT-X-DEFINE is the whole attribute list.
type token struct {
	start, end int
	tag        *tag
	kind       Kind
	form       form
	foreign    bool // the key has a foreign KEYFORMAT, before variables are substituted
}

func (t *token) text(src []byte) []byte { return src[t.start:t.end] }

// isReport reports whether the URI is that of a report that says no more than which playlist it is of.
func (t *token) isReport(src []byte) bool {
	return t.tag.report && bytes.IndexByte(t.text(src), '?') < 0
}

func (t *token) ref() Ref { return Ref{Tag: t.tag.name, Attr: t.tag.attr, Kind: t.kind} }

// scanner finds the URIs of a playlist in one pass over its lines.
type scanner struct {
	src     []byte
	pos     int   // where the next line begins
	lf      int   // the next LF at or after pos, if it is not before pos
	cr      int   // there is no CR between pos and here
	variant bool  // an EXT-X-STREAM-INF waits for its URI
	related bool  // the meaning of a line has depended on other lines
	pace    *pace // nil: nothing is counted
	counted int   // up to where in src

	// The rest of a line with an attribute list.
	attrs   attrList
	tag     *tag
	patient bool   // the list is spelled in an unusual way
	key     bool   // of a foreign KEYFORMAT
	format  []byte // the KEYFORMAT, if it is foreign
	kind    Kind
	class   dateClass
	found   bool  // the next token has been searched for,
	ahead   token // and is this one

	classes map[string]dateClass // of the date ranges, by ID; made when first needed
}

// start gives the zero scanner a text, and the place where the first line begins.
func (s *scanner) start(src []byte, pos int) {
	s.src, s.attrs.src, s.lf, s.pos = src, src, -1, pos
}

// next finds the next token. It returns false if there is none.
func (s *scanner) next(t *token) bool {
	for {
		if !s.lineDone() {
			*t, s.found = s.ahead, false
			return true
		}
		if s.pos >= len(s.src) || s.pos-s.counted >= perCount && !s.count() {
			return false
		}
		if c := s.src[s.pos]; c == '\n' || c == '\r' {
			s.pos++ // an empty line, or half of a line end
			continue
		}
		start := s.pos
		end := s.lineEnd()
		for start < end && (s.src[start] == ' ' || s.src[start] == '\t') {
			start++
		}
		if start == end {
			continue
		}
		if s.src[start] == '#' {
			if end-start > len(tagPrefix) && string(s.src[start:start+len(tagPrefix)]) == tagPrefix {
				if s.openTag(t, start, end) {
					return true
				}
			}
			continue
		}
		s.uriLine(t, start, end)
		return true
	}
}

const perCount = 64 << 10

// count adds the progress to the pace, and reports whether to go on.
func (s *scanner) count() bool {
	n := s.pos - s.counted
	s.counted = s.pos
	return s.pace == nil || s.pace.work(n)
}

// lineDone reports whether the line of the last token has no further token.
func (s *scanner) lineDone() bool { return s.tag == nil || s.attrsDone() } // inlined

func (s *scanner) attrsDone() bool {
	if !s.found {
		if s.found = s.nextAttr(&s.ahead); !s.found {
			s.tag = nil
		}
	}
	return !s.found
}

// tagPrefix begins the names of all tags that are read.
const tagPrefix = "#EXT-X-"

// uriLine is the token of a line that is a URI. Blanks before it are already skipped.
func (s *scanner) uriLine(t *token, start, end int) {
	for s.src[end-1] == ' ' || s.src[end-1] == '\t' {
		end--
	}
	t.start, t.end, t.tag = start, end, &extinf
	t.kind, t.form, t.foreign = Segment, line, false
	if s.variant {
		t.tag, t.kind = &streamInf, Playlist
		s.variant = false
	}
}

// lineEnd returns where the line at pos ends, and sets pos after its line end: LF, CR, or both. It searches for LFs first, and
// only once for each, because most playlists have no CR. It searches for CRs in several lines at once.
func (s *scanner) lineEnd() (end int) {
	if s.lf < s.pos {
		s.lf = until(s.src, s.pos, len(s.src), '\n')
	}
	if s.cr < s.lf {
		s.cr = until(s.src, max(s.cr, s.pos), min(max(s.lf, s.pos+crAhead), len(s.src)), '\r')
	}
	if s.cr < s.lf {
		end = s.cr
		s.pos = end + 1
		if s.pos == s.lf && s.lf < len(s.src) {
			s.pos++
		}
		return end
	}
	s.pos = min(s.lf+1, len(s.src))
	return s.lf
}

const crAhead = 512

// playlistStart is where the playlist begins: after a byte order mark and blanks and, if there is an #EXTM3U line, after the
// text before it.
func playlistStart(src []byte) int {
	start := 0
	if isMagicLine(src) {
		return start
	}
	if bytes.HasPrefix(src, []byte(bom)) {
		start = len(bom)
	}
	if first := len(src) - len(bytes.TrimLeft(src[start:], " \t\r\n\f")); isMagicLine(src[first:]) {
		return first
	}
	for at := start; ; {
		n := bytes.Index(src[at:], []byte(magic))
		if n < 0 {
			return start
		}
		at += n
		before := at
		for before > 0 && (src[before-1] == ' ' || src[before-1] == '\t') {
			before--
		}
		if before > 0 && (src[before-1] == '\n' || src[before-1] == '\r') && isMagicLine(src[at:]) {
			return at
		}
		at += len(magic)
	}
}

const (
	magic = "#EXTM3U"
	bom   = "\xef\xbb\xbf"
)

// isMagicLine reports whether text begins with an EXTM3U tag. Some playlists have attributes behind it, or #EXTM3U8.
func isMagicLine(text []byte) bool { return bytes.HasPrefix(text, []byte(magic)) }
