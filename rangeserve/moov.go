package rangeserve

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// errLeave says that a file is to be served as it is.
var errLeave = errors.New("rangeserve: to be left alone")

// mover copies a moov and moves the file offsets in it.
type mover struct {
	moov   box
	insert int64 // where the moov goes
	length int64 // of the moov when it is done

	wide    bool  // 32-bit tables become 64-bit ones
	crossed bool  // an offset did not fit in 32 bits
	narrow  int64 // entries of 32-bit tables
}

// moveMoov gives the moov as it stands in the view.
func moveMoov(raw []byte, moov box, insert int64) ([]byte, error) {
	m := mover{moov: moov, insert: insert, length: moov.size}
	head, err := m.copy(raw)
	if err != nil || !m.crossed {
		return head, err
	}
	m = mover{moov: moov, insert: insert, length: moov.size + 4*m.narrow, wide: true}
	return m.copy(raw)
}

func (m *mover) copy(raw []byte) ([]byte, error) {
	dst := appendHeader(make([]byte, 0, m.length), m.moov)
	dst, err := m.container(dst, raw[m.moov.header:], 0)
	if err != nil {
		return nil, err
	}
	setSize(dst, 0, m.moov)
	return dst, nil
}

// maxDepth is more than the path to any table has: moov, trak, mdia, minf, stbl.
const maxDepth = 8

// container copies the boxes of which data consists. A rest that is too short for a box is kept: QuickTime ends some
// lists with a zero.
func (m *mover) container(dst, data []byte, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: boxes nested too deep", ErrMP4)
	}
	for len(data) >= 8 {
		b, err := parseBox(data[:min(16, len(data))], int64(len(data)))
		if err == nil && b.toEnd {
			err = fmt.Errorf("%w: a box without a size within another", ErrMP4)
		}
		if err != nil {
			return nil, err
		}
		if dst, err = m.box(dst, data[:b.size], b, depth); err != nil {
			return nil, err
		}
		data = data[b.size:]
	}
	return append(dst, data...), nil
}

func (m *mover) box(dst, raw []byte, b box, depth int) ([]byte, error) {
	at, body := len(dst), raw[b.header:]
	var err error
	switch b.kind {
	case "trak", "mdia", "minf", "stbl", "dinf":
		dst, err = m.container(appendHeader(dst, b), body, depth+1)
	case "stco":
		if m.wide {
			b.kind = "co64"
		}
		dst, err = m.table(appendHeader(dst, b), body, 4, 4)
	case "co64":
		dst, err = m.table(appendHeader(dst, b), body, 4, 8)
	case "saio":
		dst, err = m.auxiliary(appendHeader(dst, b), body)
	case "dref":
		return append(dst, raw...), ownMedia(body)
	case "cmov", "mvex", "meta":
		return append(dst, raw...), m.special(b.kind, body)
	default:
		return append(dst, raw...), nil
	}
	if err != nil {
		return nil, err
	}
	setSize(dst, at, b)
	return dst, nil
}

// table copies a list of offsets: skip bytes, a count, and entries of width bytes (ISO/IEC 14496-12 section 8.7.5).
func (m *mover) table(dst, body []byte, skip, width int) ([]byte, error) {
	if len(body) < skip+4 {
		return nil, fmt.Errorf("%w: a table cut short", ErrMP4)
	}
	n, entries := int64(binary.BigEndian.Uint32(body[skip:])), body[skip+4:]
	if n*int64(width) > int64(len(entries)) {
		return nil, fmt.Errorf("%w: %d offsets in %d bytes", ErrMP4, n, len(entries))
	}
	dst = append(dst, body[:skip+4]...)
	for ; n > 0; n-- {
		if width == 8 {
			dst = binary.BigEndian.AppendUint64(dst, m.move(binary.BigEndian.Uint64(entries)))
		} else {
			dst = m.appendNarrow(dst, m.move(uint64(binary.BigEndian.Uint32(entries))))
		}
		entries = entries[width:]
	}
	return append(dst, entries...), nil
}

// appendNarrow appends an offset of a table that was a 32-bit one.
func (m *mover) appendNarrow(dst []byte, offset uint64) []byte {
	m.narrow++
	if m.wide {
		return binary.BigEndian.AppendUint64(dst, offset)
	}
	m.crossed = m.crossed || offset > math.MaxUint32
	return binary.BigEndian.AppendUint32(dst, uint32(offset))
}

// auxiliary copies the offsets of auxiliary information, such as that of encrypted samples (section 8.7.9).
func (m *mover) auxiliary(dst, body []byte) ([]byte, error) {
	if len(body) < 4 {
		return nil, fmt.Errorf("%w: a table cut short", ErrMP4)
	}
	at, skip, width := len(dst), 4, 4
	if body[3]&1 != 0 {
		skip += 8
	}
	if body[0] != 0 {
		width = 8
	}
	dst, err := m.table(dst, body, skip, width)
	if err == nil && width == 4 && m.wide {
		dst[at] = 1
	}
	return dst, err
}

// move gives the place in the view of a byte of the file.
func (m *mover) move(offset uint64) uint64 {
	switch {
	case offset < uint64(m.insert) || offset > math.MaxInt64:
		return offset
	case offset < uint64(m.moov.at):
		return offset + uint64(m.length)
	case offset >= uint64(m.moov.end()):
		return offset + uint64(m.length-m.moov.size)
	}
	return offset
}
