package rangeserve

import (
	"encoding/binary"
	"fmt"
	"io"
)

// box is the place of a box (ISO/IEC 14496-12 section 4.2).
type box struct {
	kind     string
	at, size int64 // of the box with its header
	header   int64 // bytes of the header: 8, or 16 with a 64-bit size
	toEnd    bool  // the size is written as 0: up to the end of the file
}

func (b box) end() int64 { return b.at + b.size }

// readBox reads the header of the box at an offset of a file of size bytes.
func readBox(src io.ReaderAt, at, size int64) (box, error) {
	var buf [16]byte
	want := min(int64(len(buf)), size-at)
	if n, err := src.ReadAt(buf[:want], at); int64(n) < want {
		return box{}, noEOF(err)
	}
	b, err := parseBox(buf[:want], size-at)
	b.at = at
	if err == nil && b.toEnd {
		b.size = size - at
	}
	return b, err
}

// parseBox reads the header that data begins with, of a box for which there is room.
func parseBox(data []byte, room int64) (box, error) {
	if len(data) < 8 {
		return box{}, fmt.Errorf("%w: %d bytes where a box should be", ErrMP4, len(data))
	}
	b := box{kind: string(data[4:8]), header: 8, size: int64(binary.BigEndian.Uint32(data))}
	switch b.size {
	case 0:
		b.toEnd = true
		return b, nil
	case 1:
		if len(data) < 16 {
			return box{}, fmt.Errorf("%w: a header cut short", ErrMP4)
		}
		b.header, b.size = 16, int64(binary.BigEndian.Uint64(data[8:]))
	}
	if b.size < b.header || b.size > room {
		return box{}, fmt.Errorf("%w: a box of %d bytes in %d", ErrMP4, uint64(b.size), room)
	}
	return b, nil
}

// appendHeader appends the header of b, with a size to be set by setSize.
func appendHeader(dst []byte, b box) []byte {
	if b.header == 16 {
		dst = append(dst, 0, 0, 0, 1)
		dst = append(dst, b.kind...)
		return append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	return append(append(dst, 0, 0, 0, 0), b.kind...)
}

// setSize makes the box that begins at an offset of dst end where dst ends.
func setSize(dst []byte, at int, b box) {
	size := uint64(len(dst) - at)
	if b.header == 16 {
		binary.BigEndian.PutUint64(dst[at+8:], size)
	} else {
		binary.BigEndian.PutUint32(dst[at:], uint32(size)) // a moov has at most a few times maxMoov
	}
}
