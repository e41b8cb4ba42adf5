package cache

import (
	"context"
	"io"
	"os"
	"sync/atomic"
)

// filed reads a part of a file that stays whole while it is open.
type filed struct {
	stretch
	file *os.File
}

// reader opens the file and seeks to off.
func (b *fileBody) reader(ctx context.Context, off, end int64, sent *atomic.Uint64) (*filed, error) {
	at := b.at.Load()
	f, err := os.Open(at.path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() != at.begin+b.size {
		err = errCorrupt
	}
	if err == nil {
		_, err = f.Seek(at.begin+off, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &filed{stretch: stretch{ctx: ctx, left: end - off, sent: sent}, file: f}, nil
}

// Read is that of io.Reader.
func (f *filed) Read(p []byte) (int, error) { return f.read(f.file, p) }

// WriteTo is that of io.WriterTo. A writer that reads from files itself, as an http.ResponseWriter does, may do so without
// a copy.
func (f *filed) WriteTo(w io.Writer) (written int64, err error) {
	to, ok := w.(io.ReaderFrom)
	if !ok {
		return f.copyTo(w, f)
	}
	for f.left > 0 {
		if err := f.usable(); err != nil {
			return written, err
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
