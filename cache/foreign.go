package cache

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
)

// foreign reads a Body that a Store of the caller made.
type foreign struct {
	ctx  context.Context
	src  *io.SectionReader
	left int64
	sent *atomic.Uint64
	gone atomic.Bool
}

// Read is that of io.Reader.
func (f *foreign) Read(p []byte) (int, error) {
	switch {
	case f.gone.Load():
		return 0, http.ErrBodyReadAfterClose
	case f.ctx.Err() != nil:
		return 0, context.Cause(f.ctx)
	case f.left == 0:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	n, err := f.src.Read(p)
	f.left -= int64(n)
	f.sent.Add(uint64(n))
	if err == io.EOF {
		err = nil
		if f.left > 0 {
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}

// WriteTo is that of io.WriterTo.
func (f *foreign) WriteTo(w io.Writer) (int64, error) {
	buf := make([]byte, min(f.left, largeChunk)+1)
	var written int64
	for {
		n, err := f.Read(buf)
		if n > 0 {
			m, werr := w.Write(buf[:n])
			written += int64(m)
			if werr == nil && m < n {
				werr = io.ErrShortWrite
			}
			if werr != nil {
				return written, werr
			}
		}
		if err == io.EOF {
			return written, nil
		}
		if err != nil {
			return written, err
		}
	}
}

// Close is that of io.Closer.
func (f *foreign) Close() error { f.gone.Store(true); return nil }
