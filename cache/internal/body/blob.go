package body

import (
	"io"
	"runtime"
)

// Blob is a whole body. It never changes. Only its holders can be sure that its memory is still its own.
type Blob struct {
	chunks [][]byte
	size   int64
	pages  *pages
}

// Size is the number of bytes.
func (b *Blob) Size() int64 { return b.size }

// Room is how many bytes of memory it takes.
func (b *Blob) Room() (n int64) {
	b.pages.pool.mu.Lock()
	defer b.pages.pool.mu.Unlock()
	for _, r := range b.pages.runs {
		n += int64(r.Size())
	}
	return n + b.pages.heap
}

// LiesIn reports whether all of it lies in the arena of m.
func (b *Blob) LiesIn(m *Pool) bool {
	b.pages.pool.mu.Lock()
	defer b.pages.pool.mu.Unlock()
	return b.pages.pool == m && b.pages.heap == 0
}

// Busy reports whether anybody but the owner holds it.
func (b *Blob) Busy() bool { return b.pages.holds.Load() > 1 }

// Borrow keeps the bytes until Return. It returns false if they are gone.
func (b *Blob) Borrow() bool { return b.pages.tryHold() }

// Return ends a Borrow, or the hold of the owner.
func (b *Blob) Return() { b.pages.release() }

// at is that of source.
func (b *Blob) at(off int64, hint *place) (p []byte, more <-chan struct{}, err error) {
	if off >= b.size {
		return nil, nil, io.EOF
	}
	i, at := hint.chunk, hint.off
	if at > off || i >= len(b.chunks) {
		i, at = 0, 0
	}
	for off-at >= int64(len(b.chunks[i])) {
		at += int64(len(b.chunks[i]))
		i++
	}
	hint.chunk, hint.off = i, at
	return b.chunks[i][off-at:], nil, nil
}

func (b *Blob) tear(off int64, n int, _ place) {
	if b.pages.pool.arena != nil {
		b.pages.tear(0, off, n)
	}
}

// ReadAt is that of io.ReaderAt.
func (b *Blob) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for hint := (place{}); n < len(p); {
		piece, _, err := b.at(off+int64(n), &hint)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], piece)
	}
	return n, nil
}

// Lend returns the body for users who do not say when they are done: it is held until it is garbage.
func (b *Blob) Lend() *Lent {
	b.pages.hold()
	l := &Lent{b}
	runtime.AddCleanup(l, (*pages).release, b.pages)
	return l
}

// Lent is a Blob that somebody else uses.
type Lent struct{ blob *Blob }

// Size is the number of bytes.
func (l *Lent) Size() int64 { return l.blob.size }

// ReadAt is that of io.ReaderAt.
func (l *Lent) ReadAt(p []byte, off int64) (int, error) {
	n, err := l.blob.ReadAt(p, off)
	runtime.KeepAlive(l)
	return n, err
}
