package rewrite

import (
	"bytes"
)

// tag describes a tag with URIs.
type tag struct {
	name     string
	attr     string // the attribute that holds the URI; "": the value of the tag, or a line of its own
	kind     Kind
	define   bool // EXT-X-DEFINE has no URI, but variables for URIs
	child    bool // the URI names a playlist that belongs to a multivariant playlist
	report   bool // the URI names a sibling of the playlist
	absolute bool // the HLS draft wants an absolute URI
	long     bool // there are many attributes besides the URI
}

var (
	extinf    = tag{name: "EXTINF", kind: Segment}
	streamInf = tag{name: "EXT-X-STREAM-INF", kind: Playlist, child: true}

	mediaTag       = tag{name: "EXT-X-MEDIA", attr: "URI", kind: Playlist, child: true, long: true}
	iframeTag      = tag{name: "EXT-X-I-FRAME-STREAM-INF", attr: "URI", kind: Playlist, child: true, long: true}
	imageTag       = tag{name: "EXT-X-IMAGE-STREAM-INF", attr: "URI", kind: Playlist, child: true, long: true}
	sessionDataTag = tag{name: "EXT-X-SESSION-DATA", attr: "URI", kind: Data}
	sessionKeyTag  = tag{name: "EXT-X-SESSION-KEY", attr: "URI", kind: Key}
	steeringTag    = tag{name: "EXT-X-CONTENT-STEERING", attr: "SERVER-URI", kind: JSON}
	keyTag         = tag{name: "EXT-X-KEY", attr: "URI", kind: Key}
	mapTag         = tag{name: "EXT-X-MAP", attr: "URI", kind: Init}
	partTag        = tag{name: "EXT-X-PART", attr: "URI", kind: Part}
	hintTag        = tag{name: "EXT-X-PRELOAD-HINT", attr: "URI", kind: Part}
	reportTag      = tag{name: "EXT-X-RENDITION-REPORT", attr: "URI", kind: Playlist, report: true}
	dateRangeTag   = tag{name: "EXT-X-DATERANGE"}
	assetTag       = tag{name: "EXT-X-DATERANGE", attr: "X-ASSET-URI", kind: Playlist, absolute: true}
	assetListTag   = tag{name: "EXT-X-DATERANGE", attr: "X-ASSET-LIST", kind: JSON, absolute: true}
	preloadTag     = tag{name: "EXT-X-DATERANGE", attr: "X-URI", kind: Playlist, absolute: true}
	prefetchTag    = tag{name: "EXT-X-PREFETCH", kind: Segment}
	twitchTag      = tag{name: "EXT-X-TWITCH-PREFETCH", kind: Segment}
	thumbnailTag   = tag{kind: Thumbnail}
	defineTag      = tag{name: "EXT-X-DEFINE", define: true}
)

// lookupTag finds a tag by its name after "#EXT-X-". It compares whole names: EXT-X-MEDIA is not EXT-X-MEDIA-SEQUENCE.
func lookupTag(name []byte) *tag {
	switch string(name) {
	case "MEDIA":
		return &mediaTag
	case "KEY":
		return &keyTag
	case "MAP":
		return &mapTag
	case "PART":
		return &partTag
	case "PRELOAD-HINT":
		return &hintTag
	case "RENDITION-REPORT":
		return &reportTag
	case "STREAM-INF":
		return &streamInf
	case "I-FRAME-STREAM-INF":
		return &iframeTag
	case "IMAGE-STREAM-INF":
		return &imageTag
	case "SESSION-DATA":
		return &sessionDataTag
	case "SESSION-KEY":
		return &sessionKeyTag
	case "CONTENT-STEERING":
		return &steeringTag
	case "DATERANGE":
		return &dateRangeTag
	case "PREFETCH":
		return &prefetchTag
	case "TWITCH-PREFETCH":
		return &twitchTag
	case "DEFINE":
		return &defineTag
	}
	return nil
}

const longestTag = len("I-FRAME-STREAM-INF:")

// openTag reads a line that begins with "#EXT-X-". If the tag has an attribute list, its attributes are read next. true means
// that the line itself is a token.
func (s *scanner) openTag(t *token, start, end int) bool {
	start += len(tagPrefix)
	name := s.src[start:min(end, start+longestTag)]
	n := 0
	for n < len(name) && name[n] != ':' {
		n++
	}
	if n == len(name) {
		return false
	}
	tag := lookupTag(name[:n])
	if tag == nil {
		return false
	}
	start += n + 1
	switch {
	case tag == &streamInf:
		s.variant = true
		return false
	case tag.define:
		*t = token{start: start, end: end, tag: tag}
		return true
	case tag == &prefetchTag || tag == &twitchTag:
		start, end = trimBlanks(s.src, start, end)
		*t = token{start: start, end: end, tag: tag, kind: tag.kind}
		return start < end
	}
	s.tag, s.kind = tag, tag.kind
	s.attrs.pos, s.attrs.end = start, end
	s.patient, s.key, s.class = false, false, noClass
	switch tag {
	case &keyTag, &sessionKeyTag:
		if bytes.Contains(s.src[start:end], []byte("KEYFORMAT")) {
			s.format, s.key = s.keyFormat()
		}
	case &hintTag:
		if value, ok := s.attrs.lookup("TYPE"); ok && string(value) == "MAP" {
			s.kind = Init
		}
	case &dateRangeTag:
		s.class, s.related = s.dateRangeClass(), true
	}
	return false
}

// keyFormat is the KEYFORMAT of the key whose attributes come next, with the variables in it. foreign: it names another system
// than the client itself, unless a variable in it says otherwise. The URI is then a message to that system (section 4.4.4.4 of
// the HLS draft).
func (s *scanner) keyFormat() (format []byte, foreign bool) {
	format, _ = s.attrs.lookup("KEYFORMAT")
	return format, isForeign(format)
}

func isForeign(format []byte) bool { return len(format) > 0 && string(format) != "identity" }

// nextAttr finds the next attribute with a URI in the current tag.
func (s *scanner) nextAttr(t *token) bool {
	if s.tag == &dateRangeTag {
		return s.nextDateRangeAttr(t)
	}
	if s.tag.long && !s.patient {
		found, sure := s.attrs.nextURI()
		if sure {
			if found {
				s.attrToken(t)
			}
			return found
		}
		s.patient = true
	}
	for s.attrs.next() {
		if string(s.attrs.name()) == s.tag.attr {
			s.attrToken(t)
			return true
		}
	}
	return false
}

// attrToken is the token of the attribute that was just found.
func (s *scanner) attrToken(t *token) {
	t.start, t.end, t.tag = s.attrs.from, s.attrs.to, s.tag
	t.kind, t.form, t.foreign = s.kind, bare, s.key
	if s.attrs.quoted {
		t.form = quoted
		t.start, t.end = trimBlanks(s.src, t.start, t.end) // as players do
	}
}

func trimBlanks(src []byte, start, end int) (int, int) {
	for start < end && (src[start] == ' ' || src[start] == '\t') {
		start++
	}
	for start < end && (src[end-1] == ' ' || src[end-1] == '\t') {
		end--
	}
	return start, end
}

// dateClass is the meaning of the X- attributes of an EXT-X-DATERANGE, which its CLASS decides (section 4.4.5.1, appendices D
// and F of the HLS draft).
type dateClass uint8

const (
	noClass dateClass = iota
	interstitial
	preload
)

// tagOf is the meaning of an attribute in this class. nil: it holds no URI.
func (c dateClass) tagOf(attr []byte) *tag {
	switch {
	case c == interstitial && string(attr) == "X-ASSET-URI":
		return &assetTag
	case c == interstitial && string(attr) == "X-ASSET-LIST":
		return &assetListTag
	case c == preload && string(attr) == "X-URI":
		return &preloadTag
	}
	return nil
}

// nextDateRangeAttr is nextAttr for a date range.
func (s *scanner) nextDateRangeAttr(t *token) bool {
	for s.attrs.next() {
		if tag := s.class.tagOf(s.attrs.name()); tag != nil {
			s.attrToken(t)
			t.tag, t.kind = tag, tag.kind
			if tag == &preloadTag && !isPlaylistName(t.text(s.src)) {
				t.kind = JSON
			}
			return true
		}
	}
	return false
}

func classNamed(name []byte) dateClass {
	switch string(name) {
	case "com.apple.hls.interstitial":
		return interstitial
	case "com.apple.hls.preload":
		return preload
	}
	return noClass
}

// dateRangeClass is the class of the date range whose attributes come next. Tags with the same ID describe one range together,
// so a tag may have its CLASS from another.
func (s *scanner) dateRangeClass() dateClass {
	if !bytes.Contains(s.src[s.attrs.pos:s.attrs.end], []byte("X-")) {
		return noClass
	}
	if hasClass(s.src[s.attrs.pos:s.attrs.end]) {
		if name, ok := s.attrs.lookup("CLASS"); ok {
			return classNamed(name)
		}
	}
	id, ok := s.attrs.lookup("ID")
	if !ok {
		return noClass
	}
	if s.classes == nil {
		s.classes = dateRangeClasses(s.src)
	}
	return s.classes[string(id)]
}

// hasClass reports whether the list of a date range may contain a CLASS.
func hasClass(list []byte) bool { return bytes.Contains(list, []byte("CLASS")) }

func dateRangeClasses(src []byte) map[string]dateClass {
	classes := map[string]dateClass{}
	var s scanner
	s.start(src, playlistStart(src))
	for s.pos < len(src) {
		start := s.pos
		list, ok := bytes.CutPrefix(src[start:s.lineEnd()], []byte("#EXT-X-DATERANGE:"))
		if !ok || !hasClass(list) {
			continue
		}
		attrs := attrList{src: list, end: len(list)}
		id, _ := attrs.lookup("ID")
		if name, ok := attrs.lookup("CLASS"); ok {
			classes[string(id)] = classNamed(name)
		}
	}
	return classes
}

// isPlaylistName reports whether a URI ends like the URI of a playlist.
func isPlaylistName(uri []byte) bool {
	path, _, _ := splitTail(uri)
	ext := extension(path)
	return bytes.EqualFold(ext, []byte("m3u8")) || bytes.EqualFold(ext, []byte("m3u"))
}
