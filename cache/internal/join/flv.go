package join

// FLV (Adobe's specification, version 10.1, and Enhanced RTMP): a header, then tags, each followed by its length. A decoder
// needs the header, the metadata and the sequence headers of its codecs. It begins with a key frame or, if there is no video,
// with any audio tag.
const (
	flvHeader = 9 + 4 // with the length 0 of the tag before the first
	tagHeader = 11
	tagAudio  = 8
	tagVideo  = 9
	tagScript = 18
)

type flv struct {
	header                 []byte
	metadata, video, audio []byte // tags
	pictures               bool
}

func isFLV(s *Scanner) (format, int) {
	p := s.rest
	const signature = "FLV\x01"
	n := min(len(p), len(signature))
	if string(p[:n]) != signature[:n] {
		return nil, 0
	}
	if n < len(signature) {
		return nil, len(signature)
	}
	return &flv{}, 0
}

func (f *flv) unit(s *Scanner, p []byte) int {
	if f.header == nil {
		if len(p) < flvHeader {
			return 0
		}
		f.header = clone(p[:flvHeader])
		return flvHeader
	}
	if len(p) < tagHeader {
		return 0
	}
	size := int(p[1])<<16 | int(p[2])<<8 | int(p[3])
	all := tagHeader + size + 4
	kind := p[0] & 0x1f
	if p[0]&0xc0 != 0 || kind != tagAudio && kind != tagVideo && kind != tagScript {
		s.giveUp() // there is no sync mark to look for
		return all
	}
	if size < 2 {
		return all
	}
	if len(p) < tagHeader+2 {
		return 0
	}
	first, second := p[tagHeader], p[tagHeader+1]
	keep := f.place(kind, first, second)
	if keep == nil {
		f.judge(s, kind, first)
		return all
	}
	if all > mostKept {
		return all
	}
	if len(p) < all {
		return 0
	}
	*keep = clone(p[:all])
	return all
}

// place is where a tag that all viewers need is kept, nil for any other tag.
func (f *flv) place(kind, first, second byte) *[]byte {
	switch {
	case kind == tagScript:
		return &f.metadata
	case kind == tagAudio && first>>4 == 10 && second == 0, kind == tagAudio && first>>4 == 9 && first&0x0f == 0: // AAC; any, by Enhanced RTMP
		return &f.audio
	case kind == tagVideo && first&0x80 != 0 && first&0x0f == 0, // Enhanced RTMP
		kind == tagVideo && first&0x80 == 0 && (first&0x0f == 7 || first&0x0f == 12) && second == 0: // AVC, HEVC
		return &f.video
	}
	return nil
}

func (f *flv) judge(s *Scanner, kind, first byte) {
	f.pictures = f.pictures || kind == tagVideo
	if kind == tagVideo && first>>4&7 == 1 || kind == tagAudio && !f.pictures && f.header[4]&1 == 0 {
		s.here(f.header, f.metadata, f.video, f.audio)
	}
}
