package rangeserve

import (
	"bytes"
	"io"
	"math"
	"os"
	"strings"
	"sync"
)

// A SectionWriter is a ReaderAt that can write a part of itself more cheaply than through a buffer: with Writes of bytes in its
// memory, or by handing a file to the kernel. Serve asks such a ReaderAt of a [Content] to write what it sends. *bytes.Reader,
// *strings.Reader, *os.File and io.SectionReaders over them need not implement it: Serve knows them.
type SectionWriter interface {
	io.ReaderAt
	// WriteSection writes the n bytes at offset off to w. Fewer than n is an error. Like ReadAt it may be called concurrently.
	// w is the http.ResponseWriter of Serve.
	WriteSection(w io.Writer, off, n int64) (int64, error)
}

// writeSection writes the n bytes of src at offset off; fewer than n is an error.
func writeSection(w io.Writer, src io.ReaderAt, off, n int64) (int64, error) {
	switch s := src.(type) {
	case SectionWriter:
		return whole(n)(s.WriteSection(w, off, n))
	case *bytes.Reader:
		c := *s // the caller's one keeps its position
		return whole(n)(writeMemory(w, &c, off, n))
	case *strings.Reader:
		c := *s
		return whole(n)(writeMemory(w, &c, off, n))
	case *os.File:
		return writeFile(w, &fileSection{file: s, off: off, n: n})
	case *io.SectionReader:
		if outer, start, size := s.Outer(); off <= size && n <= size-off && start <= math.MaxInt64-off {
			return writeSection(w, outer, start+off, n)
		}
	}
	return copySection(w, src, off, n, nil)
}

// whole turns a count below n into an error.
func whole(n int64) func(int64, error) (int64, error) {
	return func(m int64, err error) (int64, error) {
		if err == nil && m < n {
			err = io.ErrUnexpectedEOF
		}
		return m, err
	}
}

// memory is *bytes.Reader or *strings.Reader. Their WriteTo gives all that is left in one call.
type memory interface {
	io.Seeker
	io.WriterTo
}

func writeMemory(w io.Writer, m memory, off, n int64) (int64, error) {
	if _, err := m.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	first := firstBytes{w: w, n: n}
	_, err := m.WriteTo(&first)
	return first.done, err
}

// firstBytes passes on the first n bytes, and reports the rest as written.
type firstBytes struct {
	w       io.Writer
	n, done int64
}

func (f *firstBytes) Write(p []byte) (int, error) { return writePieces(f, p, f.w.Write) }

func (f *firstBytes) WriteString(s string) (int, error) {
	return writePieces(f, s, func(s string) (int, error) { return io.WriteString(f.w, s) })
}

// pieceSize bounds what a Write of a string copies. Longer pieces of bytes gain nothing.
const pieceSize = 512 << 10

func writePieces[T []byte | string](f *firstBytes, p T, write func(T) (int, error)) (int, error) {
	end := min(f.n, int64(len(p)))
	for {
		want := min(end-f.done, pieceSize)
		m, err := write(p[f.done : f.done+want])
		f.done += int64(m)
		switch {
		case err != nil || int64(m) < want:
			return int(f.done), err
		case f.done == end:
			return len(p), nil
		}
	}
}

const copySize = 128 << 10

// buffers are shared by all copies through memory. A buffer whose Write has failed is not reused: an HTTP/2 server returns when
// the stream is gone, and may still send those bytes.
var buffers = sync.Pool{New: func() any { return new([copySize]byte) }}

// copySection copies any other source. It calls check, unless that is nil, before it sends the last byte.
func copySection(w io.Writer, src io.ReaderAt, off, n int64, check func() error) (done int64, err error) {
	buf := buffers.Get().(*[copySize]byte)
	for done < n {
		m, err := src.ReadAt(buf[:min(copySize, n-done)], off+done)
		if m > 0 && done+int64(m) == n && check != nil {
			if err := check(); err != nil {
				buffers.Put(buf)
				return done, err
			}
		}
		if m > 0 {
			m, werr := w.Write(buf[:m])
			done += int64(m)
			if werr != nil {
				return done, werr
			}
		}
		if done < n && err != nil {
			buffers.Put(buf)
			return done, noEOF(err)
		}
	}
	buffers.Put(buf)
	return done, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
