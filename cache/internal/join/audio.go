package join

// ADTS (ISO/IEC 13818-7) and MPEG audio (ISO/IEC 11172-3) consist of frames, each with a header that tells its length. A
// decoder can begin with any frame.
const (
	frameHeader = 7 // the longer of the two
	inARow      = 3 // frames, to exclude chance
)

type audio struct {
	length func([]byte) int // of the frame that begins here, by its header; 0: none
	next   int              // how many frames followed each other
}

// isAudio looks for frames. It continues where it stopped: otherwise a stream that comes byte by byte would be searched again
// for each byte.
func isAudio(s *Scanner) (format, int) {
	for ; s.silent < mostSearched; s.silent++ {
		p := s.rest[min(s.silent, len(s.rest)):]
		if len(p) < frameHeader {
			return nil, len(s.rest) + 1
		}
		for _, length := range [...]func([]byte) int{adtsLength, mpegLength} {
			switch n, need := follow(p, length); {
			case n == inARow:
				return &audio{length: length}, 0
			case need:
				return nil, len(s.rest) + 1
			}
		}
	}
	return nil, 0
}

// follow returns how many frames follow each other, at most inARow, and whether it needs more bytes to tell.
func follow(p []byte, length func([]byte) int) (n int, need bool) {
	for n < inARow {
		if len(p) < frameHeader {
			return n, n > 0
		}
		size := length(p)
		if size == 0 {
			return n, false
		}
		n++
		if n < inARow && size > len(p) {
			return n, true
		}
		p = p[min(size, len(p)):]
	}
	return n, false
}

// tagLength returns the length of an ID3v2 tag at the beginning, and how many bytes it needs to tell.
func tagLength(p []byte) (n, need int) {
	const signature, header = "ID3", 10
	m := min(len(p), len(signature))
	switch {
	case string(p[:m]) != signature[:m]:
		return 0, 0
	case len(p) < header:
		return 0, header
	}
	return header + int(p[6]&0x7f)<<21 + int(p[7]&0x7f)<<14 + int(p[8]&0x7f)<<7 + int(p[9]&0x7f), 0
}

func (f *audio) unit(s *Scanner, p []byte) int {
	if n, need := tagLength(p); need > 0 {
		return 0
	} else if n > 0 {
		return n
	}
	if len(p) < frameHeader {
		return 0
	}
	n := f.length(p)
	if n == 0 {
		f.next = 0
		return -1
	}
	if f.next++; f.next >= inARow {
		s.here()
	}
	return n
}

func adtsLength(p []byte) int {
	if p[0] != 0xff || p[1]&0xf6 != 0xf0 || p[2]>>2&0x0f > 12 {
		return 0
	}
	n := int(p[3]&3)<<11 | int(p[4])<<3 | int(p[5])>>5
	if n < frameHeader {
		return 0
	}
	return n
}

// kilobits are the bit rates of MPEG-1 layers I, II and III, of MPEG-2 layer I, and of MPEG-2 layers II and III.
var kilobits = [5][15]int{
	{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
	{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
	{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
	{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
}

func mpegLength(p []byte) int {
	version, layer, rate, sampling := p[1]>>3&3, 4-int(p[1]>>1&3), p[2]>>4, p[2]>>2&3
	if p[0] != 0xff || p[1]&0xe0 != 0xe0 || version == 1 || layer == 4 || rate == 0 || rate == 15 || sampling == 3 {
		return 0
	}
	hertz := [...]int{44100, 48000, 32000}[sampling]
	table, samples := layer-1, 1152
	if version != 3 { // MPEG-2, or MPEG-2.5 with half its rates
		table, hertz = min(layer+2, 4), hertz/2
		if version == 0 {
			hertz /= 2
		}
		if layer == 3 {
			samples = 576
		}
	}
	padding := int(p[2] >> 1 & 1)
	if layer == 1 {
		return (12*kilobits[table][rate]*1000/hertz + padding) * 4
	}
	return samples/8*kilobits[table][rate]*1000/hertz + padding
}
