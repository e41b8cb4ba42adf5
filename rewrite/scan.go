package rewrite

import "bytes"

// form is how a URI stands in the text, which decides what its replacement may contain.
type form uint8

const (
	line   form = iota // the rest of a line
	quoted             // between quotes
	bare               // an attribute value without quotes
)

// token is a place where a URI stands, without quotes and blanks around it. A token of EXT-X-DEFINE is the whole
// attribute list.
type token struct {
	start, end int
	tag        *tag
	kind       Kind
	form       form
	foreign    bool // the key of a foreign KEYFORMAT
}

func (t *token) text(src []byte) []byte { return src[t.start:t.end] }

func (t *token) ref() Ref { return Ref{Tag: t.tag.name, Attr: t.tag.attr, Kind: t.kind} }

// scanner finds the URIs of a playlist in one pass over its lines.
type scanner struct {
	src     []byte
	pos     int  // where the next line begins
	lf, cr  int  // the next LF and CR at or after pos, if any CR is there
	crs     bool // some line may end in a CR
	variant bool // an EXT-X-STREAM-INF waits for its URI

	// The rest of a line with an attribute list.
	attrs   attrList
	tag     *tag
	patient bool // the list is not spelled as usual
	key     bool // of a foreign KEYFORMAT
	kind    Kind
	class   dateClass
	found   int // tokens in it so far
	last    lineMemo

	classes map[string]dateClass // of the date ranges by ID, made when first needed
}

func (s *scanner) reset(src []byte) {
	*s = scanner{src: src, crs: bytes.IndexByte(src, '\r') >= 0, lf: -1, cr: -1}
	s.attrs.src = src
	s.pos = playlistStart(src)
}

// next finds the next token; false means that there is none.
func (s *scanner) next(t *token) bool {
	for {
		if s.tag != nil {
			if s.nextAttr(t) {
				return true
			}
			s.closeTag()
		}
		if s.pos >= len(s.src) {
			return false
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
				if s.last.length == end-start && s.last.repeat(s.src, start, t) || s.openTag(t, start, end) {
					return true
				}
			}
			continue
		}
		s.uriLine(t, start, end)
		return true
	}
}

// tagPrefix begins the names of all tags that are looked at.
const tagPrefix = "#EXT-X-"

// uriLine is the token of a line that is a URI, blanks before it already skipped.
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

// lineEnd returns where the line at pos ends, and sets pos behind its line end: LF, CR, or both.
func (s *scanner) lineEnd() (end int) {
	if !s.crs {
		n := bytes.IndexByte(s.src[s.pos:], '\n')
		if n < 0 {
			s.pos = len(s.src)
			return s.pos
		}
		end = s.pos + n
		s.pos = end + 1
		return end
	}
	s.lf = s.find('\n', s.lf)
	s.cr = s.find('\r', s.cr)
	end = min(s.lf, s.cr)
	s.pos = min(end+1, len(s.src))
	if s.cr == end && s.lf == end+1 {
		s.pos = end + 2
	}
	return end
}

// find returns the first c at or after pos, given the last one found: each byte is looked at once.
func (s *scanner) find(c byte, last int) int {
	if last >= s.pos {
		return last
	}
	if n := bytes.IndexByte(s.src[s.pos:], c); n >= 0 {
		return s.pos + n
	}
	return len(s.src)
}

// playlistStart is where the playlist begins: behind a byte order mark and, if there is an #EXTM3U line at all, behind
// the text before it.
func playlistStart(src []byte) int {
	start := 0
	if bytes.HasPrefix(src, []byte(bom)) {
		start = len(bom)
	}
	if isMagicLine(src[start:]) {
		return start
	}
	for at := start; ; {
		n := bytes.Index(src[at:], []byte(magic))
		if n < 0 {
			return start
		}
		at += n
		if (src[max(at-1, 0)] == '\n' || src[max(at-1, 0)] == '\r') && isMagicLine(src[at:]) {
			return at
		}
		at += len(magic)
	}
}

const (
	magic = "#EXTM3U"
	bom   = "\xef\xbb\xbf"
)

// isMagicLine tells whether text begins with an EXTM3U tag; some put attributes behind it.
func isMagicLine(text []byte) bool {
	if !bytes.HasPrefix(text, []byte(magic)) {
		return false
	}
	if len(text) == len(magic) {
		return true
	}
	c := text[len(magic)]
	return c <= ' ' || c == ':' || c == ','
}
