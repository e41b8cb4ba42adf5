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
	LargeChunk = 256 << 10 // the longest piece that a reader gets
	lastChunk  = 16 << 10  // what a body goes through when there is no memory
	mostSpare  = 16        // chunks

	// Readers who have caught up are woken at once, but not more often than this while little comes: a wake-up of
	// hundreds costs more than the few bytes are worth.
	wakeEvery = 5 * time.Millisecond
	wakeBytes = 16 << 10
)

// ErrDropped is what a reader gets of bytes that were dropped before it had read them.
var ErrDropped = errors.New("too slow: the bytes were dropped")

// Buffer is a body that grows while any number of readers follow it. One goroutine writes: Space, Commit, then End. Bytes
// that were committed never change, so readers use them without a lock.
type Buffer struct {
	length int64 // what was declared, -1: nothing
	pages  *pages
	quota  int64    // bytes that may lie here at a time; 0: all
	spare  [][]byte // chunks of the heap that were dropped, to be used again; of the writer alone
	paced  atomic.Bool

	mu      sync.Mutex
	chunks  [][]byte // all full but the last, whose length counts the committed bytes
	marks   []mark   // by chunk
	first   int64    // offset of chunks[0]: not 0 when the beginning was dropped
	dropped int      // chunks
	size    int64    // committed
	ended   bool
	err     error // after the end: nil, or why there is not more

	readers map[*Reader]struct{}
	moved   chan struct{} // closed when a reader has moved on; nil: nobody waits

	wake   chan struct{} // closed when there is more; nil: nobody waits
	told   int64         // size when readers were last woken
	toldAt time.Time
	later  *time.Timer // wakes those who wait for less than wakeBytes
	armed  bool
}

// mark tells of a chunk whether it is a run of pages, and whether a Write of it has failed.
type mark struct{ isRun, torn bool }

// NewBuffer returns an empty Buffer, held once, for a body of so many bytes; -1: nobody knows. One that is longer than the
// Pool goes through a part of it.
func (m *Pool) NewBuffer(length int64) *Buffer {
	b := &Buffer{length: length, pages: newPages(m)}
	switch {
	case length > m.max:
		b.quota = min(max(m.max/16, 4*lastChunk), 4<<20)
	case length > LargeChunk:
		n := int(min(length/LargeChunk+1, 256))
		b.chunks, b.marks = make([][]byte, 0, n), make([]mark, 0, n)
	}
	return b
}

// Length is what was declared, -1: nothing.
func (b *Buffer) Length() int64 { return b.length }

// Short tells whether other bodies that are not whole take more than half of the Pool. None should run ahead of its
// readers then.
func (b *Buffer) Short() bool {
	pool := b.pages.pool
	return pool.growing.Load()-b.pages.grows.Load() > pool.max/2
}

// Return ends the hold of the Buffer's maker.
func (b *Buffer) Return() { b.pages.release() }

// Space returns where to put the next bytes; nil if there is no memory. The bytes count when they are committed.
func (b *Buffer) Space() []byte {
	if n := len(b.chunks); n > 0 {
		if last := b.chunks[n-1]; len(last) < cap(last) {
			return last[len(last):cap(last)]
		}
	}
	n := min(max(b.size, smallChunk), LargeChunk)
	if b.length >= 0 {
		// One byte too many must find room to be noticed.
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

// again returns a chunk that was dropped.
func (b *Buffer) again() []byte {
	last := len(b.spare) - 1
	chunk := b.spare[last]
	b.spare = b.spare[:last]
	return b.add(chunk, false)
}

// LastResort is Space for a Buffer all of whose bytes were dropped: a little of the heap where there is no other memory.
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
	if b.size-b.told >= wakeBytes || now.Sub(b.toldAt) >= wakeEvery {
		b.tell(now)
		return
	}
	if !b.armed {
		b.armed = true
		if b.later == nil {
			b.later = time.AfterFunc(wakeEvery, b.tellLater)
		} else {
			b.later.Reset(wakeEvery)
		}
	}
}

func (b *Buffer) tellLater() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.armed = false
	b.tell(time.Now())
}

func (b *Buffer) tell(now time.Time) {
	b.told, b.toldAt = b.size, now
	if b.wake != nil {
		close(b.wake)
		b.wake = nil
	}
}

// End says that no more will come: because all is there, or because of err. The first end holds; it reports whether this
// was it.
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

// State is what a reader learns: how many bytes there are, and whether there will be more.
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

// Start copies the first bytes that are there, if they were not dropped, and returns how many.
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

// Has tells whether the byte at off, or what will come there, was not dropped.
func (b *Buffer) Has(off int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return off >= b.first
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

// unpin gives up what was dropped while r looked at it.
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

// Grown returns a channel that is closed when there is more than size bytes, nil if there is already.
func (b *Buffer) Grown(size int64) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended || b.size > size {
		return nil
	}
	if b.wake == nil {
		b.wake = make(chan struct{})
	}
	return b.wake
}

// Nudge wakes those who wait, though there is nothing new.
func (b *Buffer) Nudge() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tell(time.Now())
}

// Moved returns a channel that is closed when a reader has moved on, or at the next Wake.
func (b *Buffer) Moved() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.paced.Store(true)
	if b.moved == nil {
		b.moved = make(chan struct{})
	}
	return b.moved
}

// Wake makes all that wait for Moved look again.
func (b *Buffer) Wake() {
	if !b.paced.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wakeWriter()
}

func (b *Buffer) wakeWriter() {
	if b.moved != nil {
		close(b.moved)
		b.moved = nil
	}
}

// Readers tells how many are open, and how far they are: the slowest of those that want more, and the fastest of them. Both
// are Size when there is none.
func (b *Buffer) Readers() (n int, slowest, fastest int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	slowest, fastest = b.size, -1
	for r := range b.readers {
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

// Drop forgets whole chunks before off. A reader that is behind gets ErrDropped with its next call; what it looks at now
// stays until it has done with it.
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
	for r := range b.readers {
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

// tear notes that a Write of n bytes from off on has failed, which lie in the chunk that a reader found last.
func (b *Buffer) tear(off int64, n int, last place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := last.chunk - b.dropped
	if i < 0 {
		return // pinned for the reader already
	}
	b.marks[i].torn = true
	if !b.marks[i].isRun {
		return // of the heap: it is not used again
	}
	run := 0
	for _, m := range b.marks[:i] {
		if m.isRun {
			run++
		}
	}
	b.pages.tear(run, off-last.off, n)
}

// Seal returns all that was committed, and the n bytes after it, as they will be when the Buffer has ended. The Blob takes
// no hold of its own; it is valid while the memory of the Buffer is held.
func (b *Buffer) Seal(n int) *Blob {
	out := &Blob{size: b.size + int64(n), pages: b.pages, chunks: make([][]byte, 0, len(b.chunks))}
	for i, c := range b.chunks {
		isLast := i == len(b.chunks)-1
		if isLast {
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

// trim gives back the room behind the last chunk. Readers of the Buffer keep what they have.
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

// find returns the rest of the chunk that holds off. The caller has the lock and knows that off is there.
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
	chunk int   // counted from the first chunk ever, dropped ones included
	off   int64 // of its first byte
}
