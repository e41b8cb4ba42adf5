package rewrite

import (
	"bytes"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// extension is the one that names of this kind have. segment is that of segments.
func (k Kind) extension(segment string) string {
	switch k {
	case Playlist:
		return "m3u8"
	case Segment, Part:
		return segment
	case Init:
		return "mp4"
	case Key:
		return "key"
	}
	return ""
}

// extensionOf is the extension that the public name of a reference should have, for a KindMapper.
func (st *state) extensionOf(k Kind) string {
	if k == Segment || k == Part {
		st.knowSegments()
	}
	return k.extension(st.segment)
}

// knowSegments looks for the extension of segments, unless it is known. Most playlists never need it.
func (st *state) knowSegments() {
	if st.unread != nil {
		st.usual, st.unread = segmentExtension(st.unread), nil
		st.setSegment(st.usual)
	}
	if st.section == nil {
		return
	}
	if st.setSegment(st.usual); st.usual != "" {
		st.setSegment("m4s")
		if path, _, _ := splitTail(st.section); hls.TypeByName(path) == "video/mp2t" {
			st.setSegment("ts")
		}
	}
	st.section = nil
}

// setSegment sets the extension of the next segments, and what units note of it. No two extensions have the same length.
func (st *state) setSegment(ext string) { st.segment, st.noted = ext, uint8(len(ext))+1 }

// notedFor is what a unit of a kind notes of the extension of segments, if its URI has this file name. 0: it does not matter.
func (st *state) notedFor(k Kind, name []byte) uint8 {
	if st.kinds == nil || k != Segment && k != Part || st.plan.fits(name, k) {
		return 0
	}
	st.knowSegments()
	return st.noted
}

// appendMapped appends what the Mapper makes of the URL in st.abs.
func (st *state) appendMapped(dst []byte, t *token) ([]byte, error) {
	if len(st.hints) > 0 && st.hinted != nil {
		return st.hinted.AppendPublicWith(dst, st.abs, st.hints)
	}
	if st.kinds == nil {
		return st.Map.AppendPublic(dst, st.abs)
	}
	ext := st.extensionOf(t.kind)
	if t.tag.absolute && ext != "" {
		if path, _, _ := splitTail(st.abs); hls.ByName(path).IsMedia() {
			ext = "" // an asset may be a film
		}
	}
	return st.kinds.AppendPublicOf(dst, st.abs, t.kind.String(), ext)
}

// segmentExtension is the extension of the segments of a playlist before its first EXT-X-MAP. It has to be the same in the
// whole playlist and in all states of it: a player knows segments by their URLs.
func segmentExtension(playlist []byte) string {
	ext, s := "ts", scanner{}
	for s.start(playlist, playlistStart(playlist)); s.pos < len(playlist); {
		from := s.pos
		start, end := trimBlanks(playlist, from, s.lineEnd())
		tag, isTag := bytes.CutPrefix(playlist[start:end], []byte("#EXT"))
		if !isTag {
			continue
		}
		if duration, ok := bytes.CutPrefix(tag, []byte("INF:")); ok {
			if bytes.HasPrefix(bytes.TrimLeft(duration, " "), []byte{'-'}) {
				return "" // a list of channels
			}
			return ext
		}
		switch {
		case bytes.HasPrefix(tag, []byte("-X-IMAGES-ONLY")):
			return ""
		case bytes.HasPrefix(tag, []byte("-X-SKIP:")):
			ext = "m4s"
		}
	}
	return ext
}

// initializes takes in the initialization section that the segments behind it have.
func (st *state) initializes(uri []byte) {
	if st.kinds != nil {
		st.section, st.noted = uri, 0
	}
}
