package rangeserve_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
)

// atom makes a box with a 32-bit size.
func atom(kind string, content ...[]byte) []byte {
	b := append([]byte{0, 0, 0, 0}, kind...)
	b = append(b, slices.Concat(content...)...)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// atom64 makes a box with a 64-bit size.
func atom64(kind string, content ...[]byte) []byte {
	c := slices.Concat(content...)
	b := append([]byte{0, 0, 0, 1}, kind...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(c)+16))
	return append(b, c...)
}

// header is a box header. Its size need not be true.
func header(size uint32, kind string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, size), kind...)
}

func stco(offsets ...uint64) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(len(offsets)))
	for _, o := range offsets {
		b = binary.BigEndian.AppendUint32(b, uint32(o))
	}
	return atom("stco", b)
}

func co64(offsets ...uint64) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(len(offsets)))
	for _, o := range offsets {
		b = binary.BigEndian.AppendUint64(b, o)
	}
	return atom("co64", b)
}

func saio(offsets ...uint64) []byte {
	b := append([]byte{0, 0, 0, 1}, "cenc\x00\x00\x00\x00"...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(offsets)))
	for _, o := range offsets {
		b = binary.BigEndian.AppendUint32(b, uint32(o))
	}
	return atom("saio", b)
}

// dref refers to the file itself, or to another.
func dref(own bool) []byte {
	flag := byte(0)
	if own {
		flag = 1
	}
	return atom("dref", []byte{0, 0, 0, 0, 0, 0, 0, 1}, atom("url ", []byte{0, 0, 0, flag}))
}

// trak is a track with the given tables.
func trak(tables ...[]byte) []byte {
	stbl := atom("stbl", append([][]byte{atom("stsd", make([]byte, 8))}, tables...)...)
	return atom("trak", atom("tkhd", make([]byte, 84)), atom("mdia", atom("mdhd", make([]byte, 24)),
		atom("minf", atom("dinf", dref(true)), stbl)))
}

// film puts boxes one after the other. Functions are called last, with the offset of each box.
func film(boxes ...any) []byte {
	at := make([]uint64, len(boxes))
	var b []byte
	for range 2 { // the second time with the offsets that the first has found; no size depends on them
		b = nil
		for i, x := range boxes {
			at[i] = uint64(len(b))
			if f, ok := x.(func(at []uint64) []byte); ok {
				x = f(at)
			}
			b = append(b, x.([]byte)...)
		}
	}
	return b
}

// chunks reads the offsets of all tables, in their order, of a moov in front of all mdat.
func chunks(src io.ReaderAt, size int64) (offsets []uint64, err error) {
	for at := int64(0); at < size; {
		kind, head, n, err := boxAt(src, at, size)
		switch {
		case err != nil:
			return nil, err
		case kind == "mdat":
			return nil, fmt.Errorf("mdat at %d comes before moov", at)
		case kind == "moov":
			raw := make([]byte, n)
			if _, err := src.ReadAt(raw, at); err != nil {
				return nil, err
			}
			return tables(raw[head:])
		}
		at += n
	}
	return nil, fmt.Errorf("no moov")
}

func boxAt(src io.ReaderAt, at, size int64) (kind string, head, n int64, err error) {
	buf := make([]byte, 16)
	if m, err := src.ReadAt(buf[:min(16, size-at)], at); m < 8 {
		return "", 0, 0, err
	}
	n, head = int64(binary.BigEndian.Uint32(buf)), 8
	switch n {
	case 0:
		n = size - at
	case 1:
		n, head = int64(binary.BigEndian.Uint64(buf[8:])), 16
	}
	if n < head || n > size-at {
		return "", 0, 0, fmt.Errorf("box %q of %d bytes at %d of %d", buf[4:8], n, at, size)
	}
	return string(buf[4:8]), head, n, nil
}

func tables(data []byte) (offsets []uint64, err error) {
	for len(data) >= 8 {
		kind, head, n, err := boxAt(bytes.NewReader(data), 0, int64(len(data)))
		if err != nil {
			return nil, err
		}
		body := data[head:n]
		data = data[n:]
		width := 4
		switch kind {
		case "trak", "mdia", "minf", "stbl":
			more, err := tables(body)
			if err != nil {
				return nil, err
			}
			offsets = append(offsets, more...)
			continue
		case "saio":
			if body[0] == 1 {
				width = 8
			}
			body = body[8:]
		case "co64":
			width = 8
		case "stco":
		default:
			continue
		}
		for e := body[8:]; len(e) >= width; e = e[width:] {
			if width == 8 {
				offsets = append(offsets, binary.BigEndian.Uint64(e))
			} else {
				offsets = append(offsets, uint64(binary.BigEndian.Uint32(e)))
			}
		}
	}
	return offsets, nil
}

// sparse is a large file of zeros with a few islands.
type sparse struct {
	size    int64
	islands map[int64][]byte
	read    int64 // bytes asked for
}

func (s *sparse) ReadAt(b []byte, off int64) (int, error) {
	n := int(min(int64(len(b)), max(s.size-off, 0)))
	clear(b[:n])
	s.read += int64(n)
	for at, data := range s.islands {
		if lo, hi := max(at, off), min(at+int64(len(data)), off+int64(n)); lo < hi {
			copy(b[lo-off:hi-off], data[lo-at:hi-at])
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

const gib4 = int64(math.MaxUint32) + 1
