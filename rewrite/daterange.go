package rewrite

import "bytes"

// dateClass is what the CLASS of an EXT-X-DATERANGE makes of its X- attributes, which mean nothing outside of it
// (section 4.4.5.1, appendices D and F of the HLS draft).
type dateClass uint8

const (
	noClass dateClass = iota
	interstitial
	preload
)

// tagOf is what an attribute is in this class; nil: it holds no URI.
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

// dateRangeClass is the class of the date range whose attributes come next. Tags with the same ID describe one range
// together, so a tag without a CLASS may have it from another.
func (s *scanner) dateRangeClass() dateClass {
	if !bytes.Contains(s.src[s.attrs.pos:s.attrs.end], []byte("X-")) {
		return noClass
	}
	if name, ok := s.attrs.lookup("CLASS"); ok {
		return classNamed(name)
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

func dateRangeClasses(src []byte) map[string]dateClass {
	classes := map[string]dateClass{}
	var s scanner
	s.reset(src)
	for s.pos < len(src) {
		start := s.pos
		list, ok := bytes.CutPrefix(src[start:s.lineEnd()], []byte("#EXT-X-DATERANGE:"))
		if !ok {
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

// isPlaylistName tells whether a URI ends like one of a playlist.
func isPlaylistName(uri []byte) bool {
	path, _, _ := splitTail(uri)
	ext := extension(path)
	return bytes.EqualFold(ext, []byte("m3u8")) || bytes.EqualFold(ext, []byte("m3u"))
}
