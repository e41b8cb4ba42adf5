package cache

import "io"

// foreign reads a Body that a Store of the caller made.
type foreign struct {
	stretch
	src *io.SectionReader
}

// Read is that of io.Reader.
func (f *foreign) Read(p []byte) (int, error) { return f.read(f.src, p) }

// WriteTo is that of io.WriterTo.
func (f *foreign) WriteTo(w io.Writer) (int64, error) { return f.copyTo(w, f) }

// Close is that of io.Closer.
func (f *foreign) Close() error { f.gone.Store(true); return nil }
