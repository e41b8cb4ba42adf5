// Package faststart finds out how an MP4 or QuickTime file reads with its moov in front of the media data. It knows
// nothing of HTTP, and holds no byte of the file: a Layout says where each byte of the view comes from, and which are
// offsets to be moved.
package faststart

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrMP4 is wrapped by all errors that lie in the file.
var ErrMP4 = errors.New("not an MP4 that can be rearranged")

// box is the place of a box (ISO/IEC 14496-12 section 4.2).
type box struct {
	kind     string
	at, size int64 // of the box with its header
	header   int64 // bytes of the header: 8, or 16 with a 64-bit size
	toEnd    bool  // the size is written as 0: up to the end of the file
}

func (b box) end() int64  { return b.at + b.size }
func (b box) body() int64 { return b.at + b.header }

// source is a file, or the part of it up to an end, with room for what is read of it.
type source struct {
	io.ReaderAt
	buf [scratch]byte
}

const scratch = 32 << 10

// read gives n bytes, at most scratch. They stay until the next call.
func (s *source) read(at, n int64) ([]byte, error) {
	if m, err := s.ReadAt(s.buf[:n], at); int64(m) < n {
		return nil, noEOF(err)
	}
	return s.buf[:n], nil
}

// box reads the header of the box at an offset. The box ends at end or before.
func (s *source) box(at, end int64) (box, error) {
	room := end - at
	data, err := s.read(at, min(16, room))
	if err != nil {
		return box{}, err
	}
	if len(data) < 8 {
		return box{}, fmt.Errorf("%w: %d bytes where a box should be", ErrMP4, len(data))
	}
	b := box{kind: string(data[4:8]), at: at, header: 8, size: int64(binary.BigEndian.Uint32(data))}
	switch b.size {
	case 0:
		b.toEnd, b.size = true, room
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

func noEOF(err error) error {
	if err == io.EOF || err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}
