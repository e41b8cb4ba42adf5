package body

import (
	"errors"
	"io"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	smallChunk = 4 << 10
	LargeChunk = 256 << 10
	longPiece  = 512 << 10 // the longest that a reader gets: with shorter ones, a body of 2 MB costs a tenth more
	lastChunk  = 16 << 10  // for a body that has no other memory
	mostSpare  = 16        // chunks

	// Readers who have caught up are woken at once, but not more often than this while little arrives: waking hundreds of them
	// costs more than a few bytes are worth. Gather sets longer times.
	wakeEvery = 5 * time.Millisecond
	wakeBytes = 16 << 10
)

// ErrDropped is the error of a reader whose bytes were dropped before it had read them.
var ErrDropped = errors.New("too slow: the bytes were dropped")

// Buffer is a body that grows while any number of readers follow it. One goroutine writes: Space, Commit, then End. Committed
// bytes never change, so readers use them without a lock.
type Buffer struct {
	length int64 // as declared; -1: not declared
	pages  *pages
	quota  int64    // bytes that may lie here at a time; 0: all
	chunk  int64    // the longest chunk; only the writer uses it
	spare  [][]byte // dropped chunks of the heap, to be reused; only the writer uses it
	paced  atomic.Bool

	mu      sync.Mutex
	chunks  [][]byte // all full but the last, whose length counts the committed bytes
	marks   []mark   // by chunk
	first   int64    // offset of chunks[0]: not 0 if the beginning was dropped
	dropped int      // chunks
	size    int64    // committed
	ended   bool
	err     error // after the end: nil, or why it broke

	readers []*Reader     // each knows its index
	moved   chan struct{} // closed when a reader has moved on; nil: nobody waits

	every  time.Duration // wakeEvery and wakeBytes, or what Gather says
	enough int64
	wake   chan struct{} // closed when there is more; nil: nobody waits
	told   int64         // size when readers were last woken
	toldAt time.Time
	later  *time.Timer // wakes those who wait for less than enough
	armed  bool

	// Room for chunks, marks and readers: most bodies have one chunk and one reader.
	oneChunk  [1][]byte
	oneMark   [1]mark
	oneReader [1]*Reader
}

// mark says of a chunk whether it is a run of pages, and whether a Write of it has failed.
type mark struct{ isRun, torn bool }

// NewBuffer returns an empty Buffer, held once, for a body of this length. -1: unknown. A body longer than the Pool uses a part
// of it again and again.
func (m *Pool) NewBuffer(length int64) *Buffer {
	b := &Buffer{length: length, pages: newPages(m), chunk: LargeChunk, every: wakeEvery, enough: wakeBytes}
	b.readers = b.oneReader[:0]
	switch {
	case length > m.max:
		b.quota = min(max(m.max/16, 4*lastChunk), 4<<20)
	case length > LargeChunk:
		n := int(min(length/LargeChunk+1, 256))
		b.chunks, b.marks = make([][]byte, 0, n), make([]mark, 0, n)
	default:
		b.chunks, b.marks = b.oneChunk[:0], b.oneMark[:0]
	}
	return b
}

// Length is the declared length, -1 if there is none.
func (b *Buffer) Length() int64 { return b.length }

// Short reports whether bodies that are still growing take more than half of the Pool. None of them should then run ahead of
// its readers.
func (b *Buffer) Short() bool {
	pool := b.pages.pool
	return pool.growing.Load()-b.pages.grows.Load() > pool.max/2
}

// Return ends the hold of the Buffer's maker.
func (b *Buffer) Return() { b.pages.release() }

// Space returns memory for the next bytes, nil if there is none. The bytes count when they are committed.
func (b *Buffer) Space() []byte {
	if n := len(b.chunks); n > 0 {
		if last := b.chunks[n-1]; len(last) < cap(last) {
			return last[len(last):cap(last)]
		}
	}
	n := min(max(b.size, smallChunk), b.chunk)
	if b.length >= 0 {
		// There must be room for one byte too many, so that it is noticed.
		n = min(max(b.length-b.size, 1), LargeChunk)
	}
	if b.quota > 0 {
		if n = min(n, b.quota-(b.size-b.first)); n <= 0 {
			return nil
		}
	}
	pool := b.pages.pool
	if pool.arena == nil && len(b.spare) > 0 {
		return b.again()
	}
	chunk, isRun := pool.alloc(b.pages, int(n))
	if chunk == nil && n > lastChunk {
		chunk, isRun = pool.alloc(b.pages, lastChunk)
	}
	switch {
	case chunk != nil:
		return b.add(chunk, isRun)
	case len(b.spare) > 0:
		return b.again()
	}
	return nil
}

// again returns a dropped chunk.
func (b *Buffer) again() []byte {
	last := len(b.spare) - 1
	chunk := b.spare[last]
	b.spare = b.spare[:last]
	return b.add(chunk, false)
}

// LastResort is Space for a Buffer whose bytes were all dropped. It takes a little of the heap if there is no other memory.
func (b *Buffer) LastResort() []byte {
	return b.add(b.pages.pool.lastResort(b.pages, lastChunk), false)
}

func (b *Buffer) add(chunk []byte, isRun bool) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.chunks, b.marks = append(b.chunks, chunk), append(b.marks, mark{isRun: isRun})
	return chunk[:cap(chunk)]
}

// Commit makes the first n bytes of the last space readable.
func (b *Buffer) Commit(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended || n == 0 {
		return
	}
	last := &b.chunks[len(b.chunks)-1]
	*last = (*last)[:len(*last)+n]
	b.size += int64(n)
	if b.wake == nil {
		return
	}
	now := time.Now()
	left := b.every - now.Sub(b.toldAt)
	if left <= 0 || b.size-b.told >= b.enough {
		b.tell(now)
		return
	}
	if !b.armed {
		b.armed = true
		if b.later == nil {
			b.later = time.AfterFunc(left, b.tellLater)
		} else {
			b.later.Reset(left)
		}
	}
}

// End says that nothing more will come: the body is complete, or it broke with err. Only the first End counts; it reports
// whether it was the first.
func (b *Buffer) End(err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return false
	}
	b.ended, b.err = true, err
	if b.later != nil {
		b.later.Stop()
	}
	b.tell(time.Time{})
	return true
}

// State tells a reader how many bytes there are, and whether there will be more.
type State struct {
	Size  int64
	Ended bool
	Err   error
}

func (b *Buffer) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return State{b.size, b.ended, b.err}
}

// Start copies the first bytes into p, unless they were dropped, and returns how many.
func (b *Buffer) Start(p []byte) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.first > 0 {
		return 0
	}
	for _, c := range b.chunks {
		n += copy(p[n:], c)
	}
	return n
}

// next is Reader.Next.
func (b *Buffer) next(r *Reader) (p []byte, more <-chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unpin(r)
	if b.first <= r.off && r.off < b.size {
		r.looks.Store(true)
		return b.find(r.off, &r.at), nil, nil
	}
	r.looks.Store(false)
	switch {
	case r.off < b.first:
		return nil, nil, ErrDropped
	case b.ended && b.err != nil:
		return nil, nil, b.err
	case b.ended:
		return nil, nil, io.EOF
	}
	if b.wake == nil {
		b.wake = make(chan struct{})
	}
	return nil, b.wake, nil
}

// unpin gives up the bytes that were dropped while r used them.
func (b *Buffer) unpin(r *Reader) {
	if len(r.pinned) == 0 {
		return
	}
	if pool := b.pages.pool; r.torn {
		pool.passOn(r.pinned)
	} else {
		pool.unpin(r.pinned)
	}
	r.pinned = nil
}

// Readers returns how many readers are open, and the positions of the slowest of those that want more and of the fastest. Both
// are Size if there is none.
func (b *Buffer) Readers() (n int, slowest, fastest int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	slowest, fastest = b.size, -1
	for _, r := range b.readers {
		if r.gone.Load() {
			continue
		}
		n++
		if at := r.reached.Load(); at < math.MaxInt64 {
			slowest, fastest = min(slowest, at), max(fastest, at)
		}
	}
	if fastest < 0 {
		fastest = b.size
	}
	return n, slowest, fastest
}

// Drop forgets whole chunks before off. A reader that is behind gets ErrDropped at its next call. The bytes it is using now
// stay until it is done with them.
func (b *Buffer) Drop(off int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, first := 0, b.first
	for n < len(b.chunks) && first+int64(len(b.chunks[n])) <= off && len(b.chunks[n]) == cap(b.chunks[n]) {
		first += int64(len(b.chunks[n]))
		b.dropChunk(n)
		n++
	}
	b.chunks, b.marks = slices.Delete(b.chunks, 0, n), slices.Delete(b.marks, 0, n)
	b.first, b.dropped = first, b.dropped+n
}

func (b *Buffer) dropChunk(i int) {
	var lookers []*Reader
	for _, r := range b.readers {
		if r.looks.Load() && r.at.chunk == i+b.dropped {
			lookers = append(lookers, r)
		}
	}
	c := b.chunks[i]
	switch {
	case b.marks[i].isRun:
		b.pages.pool.dropFirst(b.pages, lookers)
	case !b.marks[i].torn && len(lookers) == 0 && len(b.spare) < mostSpare:
		b.spare = append(b.spare, c[:0])
	default:
		b.pages.pool.giveUp(b.pages, int64(cap(c)))
	}
}

// tear notes that a Write of the n bytes at off has failed. last is the chunk that the reader found last; it holds these bytes.
func (b *Buffer) tear(off int64, n int, last place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := last.chunk - b.dropped
	if i < 0 {
		return // already pinned for the reader
	}
	b.marks[i].torn = true
	if !b.marks[i].isRun {
		return // from the heap: it is not reused
	}
	run := 0
	for _, m := range b.marks[:i] {
		if m.isRun {
			run++
		}
	}
	b.pages.tear(run, off-last.off, n)
}

// Seal returns everything that was committed and the n bytes after it, as the body will be when the Buffer has ended. The Blob
// takes no hold of its own; it is valid while the memory of the Buffer is held.
func (b *Buffer) Seal(n int) *Blob {
	out := &Blob{size: b.size + int64(n), pages: b.pages, chunks: make([][]byte, 0, len(b.chunks))}
	for i, c := range b.chunks {
		if i == len(b.chunks)-1 {
			c = c[:len(c)+n]
		}
		if cap(c) > len(c) {
			c = b.trim(i, c)
		}
		if len(c) > 0 {
			out.chunks = append(out.chunks, c)
		}
	}
	b.pages.pool.settle(b.pages)
	if b.pages.pool.arena != nil {
		out.chunks = b.pages.pool.join(b.pages, out.chunks)
	}
	return out
}

// trim gives back the room after the last chunk. Readers of the Buffer keep what they have.
func (b *Buffer) trim(i int, c []byte) []byte {
	if b.marks[i].isRun {
		b.pages.pool.trim(b.pages, len(c))
		return c[:len(c):len(c)]
	}
	if cap(c)-len(c) > cap(c)/8 {
		return append(make([]byte, 0, len(c)), c...)
	}
	return c
}

// find returns the rest of the chunk that holds off. The caller has the lock and knows that the byte at off exists.
func (b *Buffer) find(off int64, hint *place) []byte {
	i, at := hint.chunk-b.dropped, hint.off
	if i < 0 || at > off || i >= len(b.chunks) {
		i, at = 0, b.first
	}
	for off-at >= int64(len(b.chunks[i])) {
		at += int64(len(b.chunks[i]))
		i++
	}
	hint.chunk, hint.off = i+b.dropped, at
	return b.chunks[i][off-at:]
}

// place is where a chunk begins.
type place struct {
	chunk int   // counted from the first chunk ever, including dropped ones
	off   int64 // of its first byte
}
