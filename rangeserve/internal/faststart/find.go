package faststart

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
)

// The bounds of the work that one file can cause.
const (
	MaxMoov  = 64 << 20 // bytes of a moov, which is read once; ten hours of film need some 20 MiB
	maxBoxes = 4096     // boxes of a file, and boxes of a moov that are looked into
	maxParts = 1024     // parts of a layout
	maxDepth = 8        // more than the path to any table has: moov, trak, mdia, minf, stbl
)

// errLeave says that a file is to be served as it is.
var errLeave = errors.New("to be left alone")

var sources = sync.Pool{New: func() any { return new(source) }}

// Find finds the layout of the view of a file of size bytes. It is nil for a file to be left alone: one whose moov stands
// in front already, that has fragments, that keeps its media in other files, or that has items that a moved byte would
// break.
func Find(src io.ReaderAt, size int64) (*Layout, error) {
	s := sources.Get().(*source)
	s.ReaderAt = src
	defer func() {
		s.ReaderAt = nil
		sources.Put(s)
	}()
	moov, insert, err := s.findMoov(size)
	if err != nil || moov.kind == "" {
		return nil, err
	}
	if moov.size > MaxMoov {
		return nil, fmt.Errorf("%w: a moov of %d bytes", ErrMP4, moov.size)
	}
	f := finder{source: s, moov: moov, insert: insert}
	switch err := f.find(); {
	case errors.Is(err, errLeave):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return f.layout(size)
}

// findMoov walks the boxes of a file. It gives the moov, when it stands behind media data, and where it is to go: behind
// the file type, or in front of all. A moov without a kind means that the file is to be left alone.
func (s *source) findMoov(size int64) (moov box, insert int64, err error) {
	media := false
	for at, n := int64(0), 0; at < size; n++ {
		b, err := s.box(at, size)
		if err == nil && n == maxBoxes {
			err = fmt.Errorf("%w: too many boxes", ErrMP4)
		}
		switch {
		case err != nil && moov.kind != "": // behind it there may stand anything
			return moov, insert, nil
		case err != nil:
			return box{}, 0, err
		}
		switch b.kind {
		case "moof", "sidx", "meta": // fragments, an index of offsets, items at offsets
			return box{}, 0, nil
		case "mdat":
			media = true
		case "ftyp":
			if !media {
				insert = b.end()
			}
		case "moov":
			if !media {
				return box{}, 0, nil
			}
			if moov.kind == "" {
				moov = b
			}
		}
		at = b.end()
	}
	if moov.kind == "" {
		return box{}, 0, fmt.Errorf("%w: no moov", ErrMP4)
	}
	return moov, insert, nil
}

// finder takes a moov apart.
type finder struct {
	*source
	moov   box
	insert int64 // where the moov goes
	parts  []part
	boxes  int

	// 32-bit offsets: how many there are, and the greatest.
	narrow   int64
	greatest uint32
}

func (f *finder) find() error {
	end, err := f.open(f.moov)
	if err != nil {
		return err
	}
	if err := f.container(f.moov.body(), f.moov.end(), 0); err != nil {
		return err
	}
	f.close(end)
	return nil
}

// open begins a box that grows with its tables. close ends it.
func (f *finder) open(b box) (int, error) {
	return len(f.parts), f.add(part{from: b.at, n: b.header, what: header})
}

func (f *finder) close(i int) { f.parts[i].last = len(f.parts) }

// add appends a part. Bytes that follow each other in the file and stay as they are become one.
func (f *finder) add(p part) error {
	if p.n == 0 {
		return nil
	}
	if last := len(f.parts) - 1; p.what == plain && last >= 0 && f.parts[last].what == plain && f.parts[last].from+f.parts[last].n == p.from {
		f.parts[last].n += p.n
		return nil
	}
	if len(f.parts) == maxParts {
		return fmt.Errorf("%w: too many tables", ErrMP4)
	}
	f.parts = append(f.parts, p)
	return nil
}

// container goes through the boxes between two offsets. A rest that is too short for a box is kept: QuickTime ends some
// lists with a zero.
func (f *finder) container(at, end int64, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%w: boxes nested too deep", ErrMP4)
	}
	for end-at >= 8 {
		b, err := f.box(at, end)
		if err == nil && b.toEnd {
			err = fmt.Errorf("%w: a box without a size within another", ErrMP4)
		}
		if f.boxes++; err == nil && f.boxes > maxBoxes {
			err = fmt.Errorf("%w: too many boxes", ErrMP4)
		}
		if err != nil {
			return err
		}
		if err := f.look(b, depth); err != nil {
			return err
		}
		at = b.end()
	}
	return f.add(part{from: at, n: end - at})
}

func (f *finder) look(b box, depth int) error {
	switch b.kind {
	case "trak", "mdia", "minf", "stbl", "dinf":
		return f.within(b, func() error { return f.container(b.body(), b.end(), depth+1) })
	case "stco":
		return f.within(b, func() error { return f.table(b.body(), b.end(), 4, 4) })
	case "co64":
		return f.within(b, func() error { return f.table(b.body(), b.end(), 4, 8) })
	case "saio":
		return f.within(b, func() error { return f.auxiliary(b) })
	case "dref":
		if err := f.ownMedia(b); err != nil {
			return err
		}
	case "cmov", "mvex": // a compressed moov, and fragments, whose offsets stand outside of the moov
		return errLeave
	case "meta": // tags and pictures; only items that lie elsewhere have offsets
		if err := f.noItems(b); err != nil {
			return err
		}
	}
	return f.add(part{from: b.at, n: b.size})
}

func (f *finder) within(b box, inside func() error) error {
	i, err := f.open(b)
	if err != nil {
		return err
	}
	if err := inside(); err != nil {
		return err
	}
	f.close(i)
	return nil
}

// table takes a list of offsets: skip bytes, a count, and entries of width bytes (ISO/IEC 14496-12 section 8.7.5).
func (f *finder) table(at, end, skip int64, width int64) error {
	if end-at < skip+4 {
		return fmt.Errorf("%w: a table cut short", ErrMP4)
	}
	count, err := f.read(at+skip, 4)
	if err != nil {
		return err
	}
	n, entries := int64(binary.BigEndian.Uint32(count)), at+skip+4
	if n*width > end-entries {
		return fmt.Errorf("%w: %d offsets in %d bytes", ErrMP4, n, end-entries)
	}
	if err := f.add(part{from: at, n: skip + 4}); err != nil {
		return err
	}
	kind := wideTable
	if width == 4 {
		kind = narrowTable
		if err := f.lookFor32(entries, n); err != nil {
			return err
		}
	}
	if err := f.add(part{from: entries, n: n * width, what: kind}); err != nil {
		return err
	}
	return f.add(part{from: entries + n*width, n: end - entries - n*width})
}

// lookFor32 finds the greatest of n offsets that has to fit in 32 bits once it is moved.
func (f *finder) lookFor32(at, n int64) error {
	f.narrow += n
	for n > 0 {
		k := min(n, scratch/4)
		entries, err := f.read(at, 4*k)
		if err != nil {
			return err
		}
		for i := 0; i < len(entries); i += 4 {
			if offset := binary.BigEndian.Uint32(entries[i:]); f.moves(offset) {
				f.greatest = max(f.greatest, offset)
			}
		}
		at, n = at+4*k, n-k
	}
	return nil
}

func (f *finder) moves(offset uint32) bool {
	return int64(offset) >= f.insert && int64(offset) < f.moov.at
}

// auxiliary takes the offsets of auxiliary information, such as that of encrypted samples (section 8.7.9).
func (f *finder) auxiliary(b box) error {
	at := b.body()
	if b.end()-at < 4 {
		return fmt.Errorf("%w: a table cut short", ErrMP4)
	}
	version, err := f.read(at, 4)
	if err != nil {
		return err
	}
	skip, width := int64(0), int64(4)
	if version[3]&1 != 0 {
		skip = 8
	}
	what := saioVersion
	if version[0] != 0 {
		width, what = 8, plain
	}
	if err := f.add(part{from: at, n: 1, what: what}); err != nil {
		return err
	}
	return f.table(at+1, b.end(), 3+skip, width)
}

// ownMedia looks through the data references of a track (section 8.7.2): offsets into another file are not to be moved.
func (f *finder) ownMedia(b box) error {
	at := b.body()
	if b.end()-at < 8 {
		return fmt.Errorf("%w: data references cut short", ErrMP4)
	}
	count, err := f.read(at+4, 4)
	if err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(count)
	for at += 8; n > 0; n-- {
		ref, err := f.box(at, b.end())
		if err != nil {
			return err
		}
		if f.boxes++; ref.toEnd || ref.size < ref.header+4 || f.boxes > maxBoxes {
			return fmt.Errorf("%w: a data reference cut short", ErrMP4)
		}
		flags, err := f.read(ref.body(), 4)
		if err != nil {
			return err
		}
		if flags[3]&1 == 0 {
			return errLeave
		}
		at = ref.end()
	}
	return nil
}

// noItems looks for a box of item locations.
func (f *finder) noItems(b box) error {
	const overlap = 3
	for at := b.body(); b.end()-at > overlap; {
		data, err := f.read(at, min(scratch, b.end()-at))
		if err != nil {
			return err
		}
		if bytes.Contains(data, []byte("iloc")) {
			return errLeave
		}
		at += int64(len(data)) - overlap
	}
	return nil
}

// layout puts the moov at insert, in the place of the one behind it.
func (f *finder) layout(size int64) (*Layout, error) {
	l := &Layout{insert: f.insert, moov: f.moov, head: f.moov.size}
	if int64(f.greatest)+l.head > math.MaxUint32 {
		l.wide = true
		l.head += 4 * f.narrow
	}
	l.size = size - f.moov.size + l.head
	if l.wide {
		l.parts = slices.Clip(f.parts)
	} else {
		l.parts = f.simpler()
	}
	l.place()
	return l, nil
}

// simpler are the parts where no box grows: only the tables change, and the size of a moov that says none.
func (f *finder) simpler() []part {
	s := finder{parts: make([]part, 0, len(f.parts))}
	for i, p := range f.parts {
		if i > 0 || !f.moov.toEnd {
			if p.what == header || p.what == saioVersion {
				p.what = plain
			}
		}
		_ = s.add(p) // there are no more than before
	}
	if f.moov.toEnd {
		s.parts[0].last = len(s.parts)
	}
	return slices.Clone(s.parts)
}
