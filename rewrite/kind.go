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

// naming knows the extension that the public name of a reference should have, for a KindMapper.
type naming struct {
	kinds   KindMapper // the Rewriter's, if it is one
	usual   string     // the extension of segments; it does not depend on what is left of the playlist
	segment string     // the extension of the next segments
	section []byte     // the initialization section that decides it; nil: it is known, or usual decides it
	noted   uint8      // what units note of it; 0: it is not known yet
	unread  []byte     // the playlist that tells usual; nil: usual is known
}

// extensionOf is that extension for a reference of a kind.
func (n *naming) extensionOf(k Kind) string {
	if k == Segment || k == Part {
		n.knowSegments()
	}
	return k.extension(n.segment)
}

// knowSegments looks for the extension of segments, unless it is known. Most playlists never need it.
func (n *naming) knowSegments() {
	if n.unread != nil {
		n.usual, n.unread = segmentExtension(n.unread), nil
		n.setSegment(n.usual)
	}
	if n.section == nil {
		return
	}
	if n.setSegment(n.usual); n.usual != "" {
		n.setSegment("m4s")
		if path, _, _ := splitTail(n.section); hls.TypeByName(path) == "video/mp2t" {
			n.setSegment("ts")
		}
	}
	n.section = nil
}

// setSegment sets the extension of the next segments, and what units note of it. No two extensions have the same length.
func (n *naming) setSegment(ext string) { n.segment, n.noted = ext, uint8(len(ext))+1 }

// initializes takes in the initialization section that the segments behind it have.
func (n *naming) initializes(uri []byte) {
	if n.kinds != nil {
		n.section, n.noted = uri, 0
	}
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
