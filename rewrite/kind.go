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
func (st *state) extensionOf(t *token) string {
	if st.kinds == nil {
		return ""
	}
	st.plan.expect(st.segment)
	return t.kind.extension(st.segment)
}

// expect makes the plan one for segments with an extension.
func (p *plan) expect(segment string) {
	if p.query && p.segment != segment {
		p.segment = segment
		p.turn++
	}
}

// appendMapped appends what the Mapper makes of the URL in st.abs.
func (st *state) appendMapped(dst []byte, t *token) ([]byte, error) {
	if len(st.hints) > 0 && st.hinted != nil {
		return st.hinted.AppendPublicWith(dst, st.abs, st.hints)
	}
	if st.kinds == nil {
		return st.Map.AppendPublic(dst, st.abs)
	}
	ext := st.extensionOf(t)
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
	head, first := playlist[:min(len(playlist), 16<<10)], []byte(nil)
	if i := bytes.Index(playlist, []byte("#EXTINF:")); i >= 0 {
		head, first = playlist[:i], bytes.TrimLeft(playlist[i+len("#EXTINF:"):], " ")
	}
	switch {
	case bytes.HasPrefix(first, []byte{'-'}), hasTag(head, "IMAGES-ONLY"):
		return ""
	case hasTag(head, "SKIP:"):
		return "m4s"
	}
	return "ts"
}

// hasTag looks for what is rare in the name of a tag, before it looks for the name.
func hasTag(text []byte, name string) bool {
	return bytes.Contains(text, []byte(name)) && bytes.Contains(text, []byte(tagPrefix+name))
}

// initializes takes in the initialization section that the segments behind it have.
func (st *state) initializes(uri []byte) {
	if st.kinds == nil || st.segment == "" {
		return
	}
	st.segment = "m4s"
	if path, _, _ := splitTail(uri); hls.TypeByName(path) == "video/mp2t" {
		st.segment = "ts"
	}
}
