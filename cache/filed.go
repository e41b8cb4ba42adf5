package cache

import (
	"context"
	"io"
	"net/http"
	"os"
	"sync/atomic"
)

// filed reads a part of a file that stays whole while it is open.
type filed struct {
	ctx  context.Context
	file *os.File
	left int64
	sent *atomic.Uint64
	gone atomic.Bool
}

// reader opens the file and seeks to off.
func (b *fileBody) reader(ctx context.Context, off, end int64, sent *atomic.Uint64) (*filed, error) {
	f, err := os.Open(b.path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() != b.total() {
		err = errCorrupt
	}
	if err == nil {
		_, err = f.Seek(b.begin+off, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &filed{ctx: ctx, file: f, left: end - off, sent: sent}, nil
}

// Read is that of io.Reader.
func (f *filed) Read(p []byte) (int, error) {
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
	n, err := f.file.Read(p[:min(int64(len(p)), f.left)])
	return n, f.advance(int64(n), err)
}

func (f *filed) advance(n int64, err error) error {
	f.left -= n
	f.sent.Add(uint64(n))
	if err == io.EOF && f.left > 0 {
		return io.ErrUnexpectedEOF
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// WriteTo is that of io.WriterTo. A writer that reads from files itself, as an http.ResponseWriter does, may do so without
// a copy.
func (f *filed) WriteTo(w io.Writer) (written int64, err error) {
	to, ok := w.(io.ReaderFrom)
	if !ok {
		return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{f}, make([]byte, min(f.left, largeChunk)+1))
	}
	for f.left > 0 {
		switch {
		case f.gone.Load():
			return written, http.ErrBodyReadAfterClose
		case f.ctx.Err() != nil:
			return written, context.Cause(f.ctx)
		}
		// In pieces, so that the viewer's context is looked at now and then.
		n, err := to.ReadFrom(&io.LimitedReader{R: f.file, N: min(f.left, 4<<20)})
		written += n
		if err == nil && n == 0 {
			err = io.EOF
		}
		if err := f.advance(n, err); err != nil {
			return written, err
		}
	}
	return written, nil
}

// Close is that of io.Closer.
func (f *filed) Close() error {
	if f.gone.Swap(true) {
		return nil
	}
	return f.file.Close()
}
