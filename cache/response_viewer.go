package cache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/hlsproxy/hlsproxy/cache/internal/body"
)

// viewer is the body of one response: a part of a body in memory, read at the viewer's own pace.
type viewer struct {
	ctx    context.Context
	prefix []byte // sent before the part
	part   body.Reader
	fill   *fill // nil: the body is whole
	sent   *atomic.Uint64
}

// next returns bytes that lie in one piece. It waits for at least one byte. Before it waits, it flushes w, if w is not nil.
func (v *viewer) next(w io.Writer) ([]byte, error) {
	for {
		if v.ctx.Err() != nil {
			if v.part.HasAll() {
				return nil, io.EOF // a client that knows the length may go without waiting for the end
			}
			return nil, context.Cause(v.ctx)
		}
		p, more, err := v.part.Next()
		if err != nil || more == nil {
			return p, err
		}
		if err := flush(w); err != nil {
			return nil, err
		}
		select {
		case <-more:
		case <-v.ctx.Done():
		}
	}
}

func (v *viewer) advance(n int) {
	v.part.Advance(n)
	v.sent.Add(uint64(n))
}

// Read is that of io.Reader.
func (v *viewer) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !v.part.Enter() {
		return 0, http.ErrBodyReadAfterClose
	}
	defer v.part.Leave()
	if len(v.prefix) > 0 {
		n := copy(p, v.prefix)
		v.prefix = v.prefix[n:]
		return n, nil
	}
	piece, err := v.next(nil)
	if err != nil {
		return 0, err
	}
	n := copy(p, piece)
	v.advance(n)
	return n, nil
}

// PeekByte implements firstbyte.Body.
func (v *viewer) PeekByte() (byte, error) {
	if !v.part.Enter() {
		return 0, http.ErrBodyReadAfterClose
	}
	defer v.part.Leave()
	if len(v.prefix) > 0 {
		return v.prefix[0], nil
	}
	piece, err := v.next(nil)
	if err != nil {
		return 0, err
	}
	return piece[0], nil
}

// WriteTo implements io.WriterTo. It writes one piece after the other, and flushes when it has to wait for the origin.
func (v *viewer) WriteTo(w io.Writer) (written int64, err error) {
	if !v.part.Enter() {
		return 0, http.ErrBodyReadAfterClose
	}
	defer v.part.Leave()
	if len(v.prefix) > 0 {
		n, err := w.Write(v.prefix)
		if written = int64(n); err != nil {
			return written, err
		}
		v.prefix = nil
	}
	lingers := v.part.IsShort() || body.Lingers(w)
	for {
		piece, err := v.next(w)
		if err == io.EOF {
			return written, nil
		}
		if err != nil {
			return written, err
		}
		n, err := v.part.Write(w, piece, lingers)
		written += int64(n)
		v.advance(n)
		if err != nil {
			return written, err
		}
	}
}

// flush makes w send its buffer, if it has one.
func flush(w io.Writer) error {
	switch w := w.(type) {
	case http.ResponseWriter:
		if err := http.NewResponseController(w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
	case interface{ FlushError() error }:
		return w.FlushError()
	case interface{ Flush() error }:
		return w.Flush()
	case http.Flusher:
		w.Flush()
	}
	return nil
}

// Close ends the viewer's part. A fill that nobody else follows may end with it.
func (v *viewer) Close() error {
	if v.part.Close() && v.fill != nil {
		v.fill.leave(1)
	}
	return nil
}
