package rangeserve

import (
	"errors"
	"io"
)

var errOffset = errors.New("rangeserve: negative offset")

// layout says where the bytes of a view come from: the source, and the moov in memory. It does not change.
type layout struct{ pieces [4]piece }

// piece is a run of bytes of the view, from memory or else from the source.
type piece struct {
	at, n  int64 // in the view
	from   int64 // in the source
	memory []byte
}

// newLayout puts head at insert, in the place of the moov behind it.
func newLayout(head []byte, insert int64, moov box, size int64) *layout {
	l := &layout{[4]piece{
		{n: insert},
		{n: int64(len(head)), memory: head},
		{n: moov.at - insert, from: insert},
		{n: size - moov.end(), from: moov.end()},
	}}
	for i := 1; i < len(l.pieces); i++ {
		l.pieces[i].at = l.pieces[i-1].at + l.pieces[i-1].n
	}
	return l
}

func (l *layout) size() int64 {
	last := l.pieces[len(l.pieces)-1]
	return last.at + last.n
}

// memory is how many bytes l holds.
func (l *layout) memory() int64 { return l.pieces[1].n }

// part cuts the piece that the byte at off lies in, so that it begins with that byte and has at most n.
func (l *layout) part(off, n int64) piece {
	for _, p := range l.pieces {
		if skip := off - p.at; skip >= 0 && skip < p.n {
			p.n = min(p.n-skip, n)
			if p.memory != nil {
				p.memory = p.memory[skip : skip+p.n]
			}
			p.at, p.from = off, p.from+skip
			return p
		}
	}
	return piece{}
}

// view reads a source in the order of a layout.
type view struct {
	*layout
	src io.ReaderAt
}

// ReadAt reads from the source what is asked for and not in memory.
func (v *view) ReadAt(b []byte, off int64) (done int, err error) {
	if off < 0 {
		return 0, errOffset
	}
	for done < len(b) {
		p := v.part(off+int64(done), int64(len(b)-done))
		if p.n == 0 {
			return done, io.EOF
		}
		if p.memory != nil {
			done += copy(b[done:], p.memory)
			continue
		}
		n, err := v.src.ReadAt(b[done:done+int(p.n)], p.from)
		done += n
		if int64(n) < p.n {
			return done, noEOF(err)
		}
	}
	return done, nil
}

// WriteSection writes the moov from where it lies, and lets the source write the rest as it can.
func (v *view) WriteSection(w io.Writer, off, n int64) (done int64, err error) {
	for done < n {
		p := v.part(off+done, n-done)
		if p.n == 0 {
			return done, io.ErrUnexpectedEOF
		}
		var m int64
		if p.memory != nil {
			var k int
			k, err = w.Write(p.memory)
			m = int64(k)
		} else {
			m, err = writeSection(w, v.src, p.from, p.n)
		}
		if done += m; err != nil {
			return done, err
		}
	}
	return done, nil
}
