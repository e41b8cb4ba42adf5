package faststart

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"sort"
)

// MaxMemory is as much as a Layout holds.
const MaxMemory = maxParts * 64

// Layout says where each byte of a view comes from. It does not change.
type Layout struct {
	moov   box   // in the file
	insert int64 // where it goes
	head   int64 // its length in the view
	size   int64 // of the view
	wide   bool  // 32-bit tables become 64-bit ones
	parts  []part
}

type what uint8

const (
	plain       what = iota
	header           // of a box that holds tables
	narrowTable      // offsets of 32 bits
	wideTable        // offsets of 64 bits
	saioVersion      // the byte that says how wide the offsets of a saio box are
)

// part is a run of bytes of the moov.
type part struct {
	at, to  int64 // in the moov of the view
	from, n int64 // in the file
	what    what
	last    int // of a header: the part behind the last of its box
}

// place finds where the parts stand in the view.
func (l *Layout) place() {
	at := int64(0)
	for i := range l.parts {
		p := &l.parts[i]
		p.at = at
		at += p.n
		if l.wide && p.what == narrowTable {
			at += p.n
		}
		p.to = at
	}
}

// Size is that of the view.
func (l *Layout) Size() int64 { return l.size }

// Equal reports whether two layouts are the same.
func (l *Layout) Equal(o *Layout) bool {
	if l == nil || o == nil {
		return l == o
	}
	return l.moov == o.moov && l.insert == o.insert && l.head == o.head && l.size == o.size && l.wide == o.wide && slices.Equal(l.parts, o.parts)
}

// Run gives the bytes of the view from off on, at most n, that stand together: in the file from an offset on, or, where that
// is negative, in the moov, which has to be read by ReadAt. It is of length zero at the end of the view.
func (l *Layout) Run(off, n int64) (from, length int64) {
	switch {
	case off < l.insert:
		return off, min(n, l.insert-off)
	case off < l.insert+l.head:
		return -1, min(n, l.insert+l.head-off)
	case off < l.moov.at+l.head: // what stood between the two places of the moov
		return off - l.head, min(n, l.moov.at+l.head-off)
	}
	return off - l.head + l.moov.size, max(min(n, l.size-off), 0)
}

var errOffset = errors.New("negative offset")

// ReadAt reads a part of the view of src as io.ReaderAt does.
func (l *Layout) ReadAt(src io.ReaderAt, p []byte, off int64) (done int, err error) {
	if off < 0 {
		return 0, errOffset
	}
	for done < len(p) {
		from, n := l.Run(off+int64(done), int64(len(p)-done))
		if n == 0 {
			return done, io.EOF
		}
		into := p[done : done+int(n)]
		var m int
		if from < 0 {
			m, err = l.readMoov(src, into, off+int64(done)-l.insert)
		} else if m, err = src.ReadAt(into, from); m == len(into) {
			err = nil
		}
		if done += m; m < len(into) {
			return done, noEOF(err)
		}
	}
	return done, nil
}

// readMoov reads from the moov of the view, which must reach that far.
func (l *Layout) readMoov(src io.ReaderAt, p []byte, off int64) (done int, err error) {
	i := sort.Search(len(l.parts), func(i int) bool { return l.parts[i].to > off })
	for done < len(p) {
		part := &l.parts[i]
		i++
		skip := off + int64(done) - part.at
		into := p[done:min(int64(len(p)), int64(done)+part.to-part.at-skip)]
		n, err := l.readPart(src, into, part, skip)
		if done += n; n < len(into) {
			return done, noEOF(err)
		}
	}
	return done, nil
}

func (l *Layout) readPart(src io.ReaderAt, p []byte, part *part, skip int64) (int, error) {
	switch {
	case part.what == narrowTable:
		return l.readTable(src, p, part, skip, 4)
	case part.what == wideTable:
		return l.readTable(src, p, part, skip, 8)
	case part.what == saioVersion && l.wide:
		p[0] = 1
		return 1, nil
	case part.what == header:
		var buf [16]byte
		head := buf[:part.n]
		if n, err := src.ReadAt(head, part.from); n < len(head) {
			return 0, err
		}
		l.resize(head, part)
		return copy(p, head[skip:]), nil
	}
	return src.ReadAt(p, part.from+skip)
}

// resize makes the header of a box say its size in the view, which a moov at the end of a file need not, and the header of
// a table its width.
func (l *Layout) resize(head []byte, p *part) {
	size := l.parts[p.last-1].to - p.at
	if len(head) == 16 {
		binary.BigEndian.PutUint64(head[8:], uint64(size))
	} else {
		binary.BigEndian.PutUint32(head, uint32(size)) // a moov has at most twice MaxMoov
	}
	if l.wide && string(head[4:8]) == "stco" {
		copy(head[4:], "co64")
	}
}

// readTable reads offsets and moves them.
func (l *Layout) readTable(src io.ReaderAt, p []byte, part *part, skip, in int64) (done int, err error) {
	out := in
	if l.wide {
		out = 8
	}
	for done < len(p) {
		at := skip + int64(done)
		n := int64(len(p)-done) / out
		if at%out != 0 || n == 0 { // a part of one entry
			var entry [8]byte
			if err := l.readEntries(src, entry[:out], part.from+at/out*in, in); err != nil {
				return done, err
			}
			done += copy(p[done:], entry[at%out:out])
			continue
		}
		into := p[done : done+int(n*out)]
		if err := l.readEntries(src, into, part.from+at/out*in, in); err != nil {
			return done, err
		}
		done += len(into)
	}
	return done, nil
}

// readEntries fills p with offsets that are in bytes wide at an offset of the file.
func (l *Layout) readEntries(src io.ReaderAt, p []byte, from, in int64) error {
	if in == 8 || l.wide {
		raw := p[len(p)-len(p)/8*int(in):] // behind where the first is written
		if n, err := src.ReadAt(raw, from); n < len(raw) {
			return noEOF(err)
		}
		for i := 0; i < len(p); i += 8 {
			offset := uint64(0)
			if in == 8 {
				offset = binary.BigEndian.Uint64(raw[i:])
			} else {
				offset = uint64(binary.BigEndian.Uint32(raw[i/2:]))
			}
			binary.BigEndian.PutUint64(p[i:], l.move(offset))
		}
		return nil
	}
	if n, err := src.ReadAt(p, from); n < len(p) {
		return noEOF(err)
	}
	for i := 0; i < len(p); i += 4 {
		binary.BigEndian.PutUint32(p[i:], uint32(l.move(uint64(binary.BigEndian.Uint32(p[i:])))))
	}
	return nil
}

// move gives the place in the view of a byte of the file.
func (l *Layout) move(offset uint64) uint64 {
	switch {
	case offset < uint64(l.insert) || offset > math.MaxInt64:
		return offset
	case offset < uint64(l.moov.at):
		return offset + uint64(l.head)
	case offset >= uint64(l.moov.end()):
		return offset + uint64(l.head-l.moov.size)
	}
	return offset
}
