package cache

import (
	"context"
	"io"
	"math"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"
)

// viewer is the body of one response: a part of a buffer, read at the viewer's own pace.
type viewer struct {
	ctx  context.Context
	body pieces
	mem  *pages // of body, held; nil: nobody reuses it
	fill *fill  // nil: the body is whole
	sent *atomic.Uint64

	at   place
	off  int64
	end  int64 // reads stop here; math.MaxInt64: where the body does
	gone atomic.Bool
	uses atomic.Int32 // calls in progress, in which a writer looks at our bytes; less than 0: closed, and none is
	torn atomic.Bool  // a Write failed

	reached atomic.Int64 // off, for the pump of a closed fill
}

// pieces is a body that lies in memory, whole or growing.
type pieces interface {
	at(off int64, hint *place) (p []byte, more <-chan struct{}, err error)
}

// next returns bytes that are there in one piece, waiting for at least one if need be. Before that w, if there is one, sends
// on what it has buffered.
func (v *viewer) next(w io.Writer) ([]byte, error) {
	for {
		if v.gone.Load() {
			return nil, http.ErrBodyReadAfterClose
		}
		if err := v.ctx.Err(); err != nil {
			return nil, context.Cause(v.ctx)
		}
		if v.off >= v.end {
			return nil, io.EOF
		}
		p, more, err := v.body.at(v.off, &v.at)
		switch {
		case err == io.EOF && v.end != math.MaxInt64:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		case more == nil:
			return p[:min(int64(len(p)), v.end-v.off, largeChunk)], nil
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

func (v *viewer) moved(n int) {
	v.off += int64(n)
	v.sent.Add(uint64(n))
	if v.fill == nil {
		return
	}
	if v.off >= v.end {
		v.reached.Store(math.MaxInt64)
	} else {
		v.reached.Store(v.off)
	}
	if v.fill.paced.Load() {
		v.fill.t.mu.Lock()
		v.fill.wakePump()
		v.fill.t.mu.Unlock()
	}
}

// Read is that of io.Reader.
func (v *viewer) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !v.begin() {
		return 0, http.ErrBodyReadAfterClose
	}
	defer v.done()
	piece, err := v.next(nil)
	if err != nil {
		return 0, err
	}
	n := copy(p, piece)
	v.moved(n)
	return n, nil
}

// WriteTo is that of io.WriterTo. It writes what there is in pieces of largeChunk, if it lies in one, lets others have their
// turn after each, and flushes when it has to wait for the origin.
func (v *viewer) WriteTo(w io.Writer) (written int64, err error) {
	if !v.begin() {
		return 0, http.ErrBodyReadAfterClose
	}
	defer v.done()
	for {
		piece, err := v.next(w)
		if err == io.EOF {
			return written, nil
		}
		if err != nil {
			return written, err
		}
		n, err := w.Write(piece)
		if n < 0 || n > len(piece) {
			return written, io.ErrShortWrite
		}
		written += int64(n)
		if err != nil {
			v.tear()
		}
		v.moved(n)
		if err != nil {
			return written, err
		}
		if n < len(piece) {
			return written, io.ErrShortWrite
		}
		if n == largeChunk {
			// Who fills his connection to the brim has nothing of it in the CPU's caches any more when the client takes it:
			// with turns a body of 2 MB goes out 1.4 times as often.
			runtime.Gosched()
		}
	}
}

// flush lets w send on what it has buffered, if it buffers.
func flush(w io.Writer) error {
	switch w := w.(type) {
	case http.ResponseWriter:
		if err := http.NewResponseController(w).Flush(); err != nil && !isUnsupported(err) {
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

// Close ends the viewer's part. A fill that nobody follows any more may end with it.
func (v *viewer) Close() error {
	if v.gone.Swap(true) {
		return nil
	}
	if v.fill != nil {
		v.fill.leave(1)
	}
	v.letGo()
	return nil
}

// begin keeps the bytes for a call; not if the viewer was closed.
func (v *viewer) begin() bool {
	if v.gone.Load() {
		return false
	}
	return v.uses.Add(1) > 0
}

// tornFor is how long a Write that failed may still look at the bytes it was given: an HTTP/2 server returns from Write
// when the stream is gone, and its frame may be on its way.
const tornFor = 10 * time.Second

// tear is to be called before others may think that the viewer has moved on.
func (v *viewer) tear() {
	v.torn.Store(true)
	if v.fill != nil {
		v.fill.body.tear(v.at)
	}
}

// done ends a call.
func (v *viewer) done() {
	if v.uses.Add(-1) == 0 && v.gone.Load() {
		v.letGo()
	}
}

// letGo gives up the bytes, if the viewer was closed and no call looks at them.
func (v *viewer) letGo() {
	if !v.uses.CompareAndSwap(0, math.MinInt32) {
		return
	}
	if f := v.fill; f != nil {
		f.t.mu.Lock()
		delete(f.viewers, v)
		f.wakePump()
		f.t.mu.Unlock()
	}
	if v.torn.Load() {
		time.AfterFunc(tornFor, v.release)
	} else {
		v.release()
	}
}

func (v *viewer) release() {
	if v.mem != nil {
		v.mem.release()
	}
	runtime.KeepAlive(v.body) // which, of a wrapped Memory, lets go of its pages when it is garbage
}
