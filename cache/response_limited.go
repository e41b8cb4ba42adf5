package cache

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/hlsproxy/hlsproxy/cache/internal/body"
)

// limited is the unread rest of a source of known length.
type limited struct {
	ctx  context.Context
	left int64
	sent *atomic.Uint64
	gone atomic.Bool
}

// usable returns an error once the viewer has closed the body or left.
func (s *limited) usable() error {
	switch {
	case s.gone.Load():
		return http.ErrBodyReadAfterClose
	case s.ctx.Err() != nil:
		return context.Cause(s.ctx)
	}
	return nil
}

func (s *limited) read(src io.Reader, p []byte) (int, error) {
	if err := s.usable(); err != nil {
		return 0, err
	}
	switch {
	case s.left == 0:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	n, err := src.Read(p[:min(int64(len(p)), s.left)])
	return n, s.advance(int64(n), err)
}

// advance counts n bytes. A source that ends early breaks the body. At the right end, the next read returns io.EOF.
func (s *limited) advance(n int64, err error) error {
	s.left -= n
	s.sent.Add(uint64(n))
	if err == io.EOF && s.left > 0 {
		return io.ErrUnexpectedEOF
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// copyTo writes the rest, read through r, in large pieces.
func (s *limited) copyTo(w io.Writer, r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, make([]byte, min(s.left, body.LargeChunk)+1))
}

// readerAtBody reads a Body from a Store of the caller.
type readerAtBody struct {
	limited
	src *io.SectionReader
}

// Read is that of io.Reader.
func (b *readerAtBody) Read(p []byte) (int, error) { return b.read(b.src, p) }

// WriteTo is that of io.WriterTo.
func (b *readerAtBody) WriteTo(w io.Writer) (int64, error) { return b.copyTo(w, b) }

// Close is that of io.Closer.
func (b *readerAtBody) Close() error { b.gone.Store(true); return nil }
