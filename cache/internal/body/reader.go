package body

import (
	"io"
	"math"
	"net/http"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/hlsproxy/hlsproxy/cache/internal/arena"
)

// Reader is one reader's part of a body, read at its own pace. Between Enter and Leave it may use the bytes. One goroutine at a
// time calls its methods, except Close, which may be called at any time. A Reader is opened once.
type Reader struct {
	buffer *Buffer // nil: the body is whole
	index  int     // among the readers of buffer; with Buffer.mu
	blob   *Blob
	lent   *Lent // the owner of blob; nil: the Reader holds blob itself

	at    place
	off   int64
	end   int64       // reads stop here; math.MaxInt64: at the end of the body
	looks atomic.Bool // it uses what Next returned; set with Buffer.mu
	torn  bool
	gone  atomic.Bool
	uses  atomic.Int32 // calls in progress; negative: closed, and no call is in progress

	reached atomic.Int64 // off; math.MaxInt64: nothing more is wanted
	pinned  []arena.Run  // with Buffer.mu: runs that were dropped while it used them
}

// Open lets r read the bytes from off to end. The caller has borrowed the Blob.
func (b *Blob) Open(r *Reader, off, end int64) {
	b.pages.hold()
	r.blob, r.off, r.end = b, off, end
}

// Open lets r read the bytes from off to end.
func (l *Lent) Open(r *Reader, off, end int64) { r.lent, r.blob, r.off, r.end = l, l.blob, off, end }

// Open lets r read along from off to end. It returns false if the byte at off has been dropped. The caller knows that the
// Buffer is held.
func (b *Buffer) Open(r *Reader, off, end int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if off < b.first {
		return false
	}
	b.pages.hold()
	r.buffer, r.off, r.end = b, off, end
	r.reached.Store(off)
	r.index = len(b.readers)
	b.readers = append(b.readers, r)
	b.wakeWriter()
	return true
}

// Enter begins a call. It returns false if the Reader was closed.
func (r *Reader) Enter() bool { return !r.gone.Load() && r.uses.Add(1) > 0 }

// Leave ends a call.
func (r *Reader) Leave() {
	if r.leave() == 0 && r.gone.Load() {
		r.letGo()
	}
}

func (r *Reader) leave() int32 {
	if b := r.buffer; b != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		r.looks.Store(false)
		b.unpin(r)
	}
	return r.uses.Add(-1)
}

func (r *Reader) pool() *Pool {
	if r.buffer != nil {
		return r.buffer.pages.pool
	}
	return r.blob.pages.pool
}

// Next returns the bytes at the Reader's position that lie in one piece. If there are none, it returns a channel that is closed
// when there are more, or the error that ends the body: io.EOF after everything that was asked for.
func (r *Reader) Next() (p []byte, more <-chan struct{}, err error) {
	switch {
	case r.gone.Load():
		return nil, nil, http.ErrBodyReadAfterClose
	case r.off >= r.end:
		return nil, nil, io.EOF
	case r.buffer != nil:
		p, more, err = r.buffer.next(r)
	default:
		p, more, err = r.blob.at(r.off, &r.at)
	}
	if err == io.EOF && r.end != math.MaxInt64 {
		err = io.ErrUnexpectedEOF
	}
	return p[:min(int64(len(p)), r.end-r.off, longPiece)], more, err
}

// HasAll reports whether everything up to the declared length of a growing body was read. Its end may still come.
func (r *Reader) HasAll() bool { return r.buffer != nil && r.off == r.buffer.length }

// Advance moves on by n bytes. The bytes that Next returned are then no longer in use.
func (r *Reader) Advance(n int) {
	r.off += int64(n)
	if r.buffer == nil {
		return
	}
	r.looks.Store(false)
	if r.off >= r.end {
		r.reached.Store(math.MaxInt64)
	} else {
		r.reached.Store(r.off)
	}
	r.buffer.Wake()
}

// copySize is the length up to which bytes are copied instead of torn. To copy shortCopy bytes costs less than Lingers.
const (
	copySize  = 16 << 10
	shortCopy = 2 << 10
)

// IsShort reports whether so few bytes are left that any writer may as well be taken for one that lingers.
func (r *Reader) IsShort() bool { return r.end-r.off <= shortCopy }

var copies = sync.Pool{New: func() any { return new([copySize]byte) }}

// Write writes p, the bytes that Next returned or the first of them, to w, and returns how many it wrote. lingers is the result
// of Lingers for w. If w may still read p after a Write that failed or panicked, p is torn.
func (r *Reader) Write(w io.Writer, p []byte, lingers bool) (n int, err error) {
	if lingers {
		return r.lend(w, p)
	}
	return write(w, p)
}

// lend is Write for a writer that may still read p later. It is a function of its own because its frame is large: a viewer's
// stack holds 8 KiB, and net/http needs half of that.
func (r *Reader) lend(w io.Writer, p []byte) (n int, err error) {
	if len(p) <= copySize || r.pool().crowded() {
		buf := copies.Get().(*[copySize]byte)
		if n, err = write(w, buf[:copy(buf[:], p)]); err == nil {
			copies.Put(buf) // other buffers are left to the garbage collector
		}
		return n, err
	}
	p = p[:min(len(p), LargeChunk)] // what may be torn; frames of HTTP/2 are shorter anyway
	failed := true
	defer func() {
		if failed {
			r.tear(len(p))
		}
	}()
	n, err = write(w, p)
	failed = err != nil
	return n, err
}

// write is a Write that fails if w did not take all of p.
func write(w io.Writer, p []byte) (int, error) {
	n, err := w.Write(p)
	switch {
	case n < 0 || n > len(p):
		return 0, io.ErrShortWrite
	case err == nil && n < len(p):
		return n, io.ErrShortWrite
	}
	return n, err
}

func (r *Reader) tear(n int) {
	r.torn = true
	if r.buffer != nil {
		r.buffer.tear(r.off, n, r.at)
	} else {
		r.blob.tear(r.off, n, r.at)
	}
}

// Lingers reports whether a writer may read its bytes after Write has returned. The HTTP/1 writer of net/http, which can be
// hijacked, does not. Any other may.
func Lingers(w io.Writer) bool {
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = u.Unwrap()
	}
	if _, ok := w.(http.Hijacker); !ok {
		return true
	}
	t := reflect.TypeOf(w)
	return t.Kind() != reflect.Pointer || t.Elem().PkgPath() != "net/http"
}

// Close ends the reading. It reports whether it was the first Close.
func (r *Reader) Close() bool {
	if r.gone.Swap(true) {
		return false
	}
	r.letGo()
	return true
}

// letGo gives up the bytes if the Reader was closed and no call uses them.
func (r *Reader) letGo() {
	if !r.uses.CompareAndSwap(0, math.MinInt32) {
		return
	}
	switch {
	case r.buffer != nil:
		r.buffer.close(r)
	case r.lent == nil && r.blob != nil:
		r.blob.pages.release()
	}
	runtime.KeepAlive(r.lent)
}

// close takes a Reader off the list.
func (b *Buffer) close(r *Reader) {
	b.mu.Lock()
	last := len(b.readers) - 1
	b.readers[r.index] = b.readers[last]
	b.readers[r.index].index = r.index
	b.readers[last] = nil
	b.readers = b.readers[:last]
	b.wakeWriter()
	b.mu.Unlock()
	b.pages.release()
}
