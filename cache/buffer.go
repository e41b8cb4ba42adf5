package cache

import (
	"io"
	"sync"
	"time"
)

const (
	smallChunk = 4 << 10
	largeChunk = 256 << 10 // what a proxy writes under one deadline

	// Readers who have caught up are woken at once, but not more often than this while little comes: a wake-up of
	// hundreds costs more than the few bytes are worth.
	wakeEvery = 5 * time.Millisecond
	wakeBytes = 16 << 10
)

// buffer is a body that grows while any number of readers follow it. One goroutine writes: space, commit, then end. Bytes
// that were committed never change, so readers use them without a lock.
type buffer struct {
	mu      sync.Mutex
	pages   *pages
	chunks  [][]byte // all full but the last, whose length counts the committed bytes
	marks   []mark   // by chunk
	first   int64    // offset of chunks[0]: not 0 when the beginning was dropped
	dropped int      // chunks
	spare   [][]byte // dropped, to be used again; of the writer alone
	size    int64    // committed
	length  int64    // what the origin declared, -1: nothing
	ended   bool
	err     error // after the end: nil, or why there is not more

	wake   chan struct{} // closed when there is more; nil: nobody waits
	told   int64         // size when readers were last woken
	toldAt time.Time
	later  *time.Timer // wakes those who wait for less than wakeBytes
	armed  bool
}

// mark tells of a chunk whether it is a run of pages, and whether a Write of it has failed.
type mark struct{ run, torn bool }

func newBuffer(length int64, mem *pages) *buffer {
	b := &buffer{length: length, pages: mem}
	if length > largeChunk && length <= defaultMaxBody {
		n := int(length/largeChunk) + 1
		b.chunks, b.marks, mem.runs = make([][]byte, 0, n), make([]mark, 0, n), make([]run, 0, n)
	}
	return b
}

// space returns where to put the next bytes; never empty. The bytes count when they are committed.
func (b *buffer) space() []byte {
	if n := len(b.chunks); n > 0 {
		if last := b.chunks[n-1]; len(last) < cap(last) {
			return last[len(last):cap(last)]
		}
	}
	n := min(max(b.size, smallChunk), largeChunk)
	if b.length >= 0 {
		// One byte too many must find room to be noticed.
		n = min(max(b.length-b.size, 1), largeChunk)
	}
	chunk, isRun := []byte(nil), false
	if last := len(b.spare) - 1; last >= 0 {
		chunk, b.spare = b.spare[last], b.spare[:last]
	} else {
		chunk, isRun = b.pages.chunk(int(n))
	}
	b.mu.Lock()
	b.chunks, b.marks = append(b.chunks, chunk), append(b.marks, mark{run: isRun})
	b.mu.Unlock()
	return chunk[:cap(chunk)]
}

// commit makes the first n bytes of the last space readable.
func (b *buffer) commit(n int) {
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

func (b *buffer) tellLater() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.armed = false
	b.tell(time.Now())
}

func (b *buffer) tell(now time.Time) {
	b.told, b.toldAt = b.size, now
	if b.wake != nil {
		close(b.wake)
		b.wake = nil
	}
}

// end says that no more will come: because all is there, or because of err. The first end holds; it reports whether this
// was it.
func (b *buffer) end(err error) bool {
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

// state is what a reader learns: how many bytes there are, and whether there will be more.
type state struct {
	size  int64
	ended bool
	err   error
}

func (b *buffer) state() state {
	b.mu.Lock()
	defer b.mu.Unlock()
	return state{b.size, b.ended, b.err}
}

// at returns the bytes at off that lie in one piece, nil if there are none yet, with a channel to wait on when the buffer
// still grows. hint is the number of a chunk at or before off, and is renewed.
func (b *buffer) at(off int64, hint *place) (p []byte, more <-chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if off < b.size && off >= b.first {
		return b.find(off, hint), nil, nil
	}
	if off < b.first {
		return nil, nil, errDropped
	}
	if b.ended {
		if b.err != nil {
			return nil, nil, b.err
		}
		return nil, nil, io.EOF
	}
	if b.wake == nil {
		b.wake = make(chan struct{})
	}
	return nil, b.wake, nil
}

// grown returns a channel that is closed when there is more than size bytes, nil if there is already.
func (b *buffer) grown(size int64) <-chan struct{} {
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

// nudge wakes those who wait, though there is nothing new.
func (b *buffer) nudge() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tell(time.Now())
}

// place is where a chunk begins.
type place struct {
	chunk int   // counted from the first chunk ever, dropped ones included
	off   int64 // of its first byte
}
