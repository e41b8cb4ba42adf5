package cache

import (
	"errors"
	"io"
	"slices"
)

// errDropped cannot happen to a reader that its fill knows of.
var errDropped = errors.New("cache: these bytes were dropped")

// find returns the rest of the chunk that holds off. The caller holds the lock and knows that off is there.
func (b *buffer) find(off int64, hint *place) []byte {
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

// drop forgets whole chunks before off, which no reader is going to use any more. What comes next takes their place, so that
// a stream without an end makes no garbage.
func (b *buffer) drop(off int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, runs := 0, []mark(nil)
	for n < len(b.chunks)-1 && b.first+int64(len(b.chunks[n])) <= off {
		b.first += int64(len(b.chunks[n]))
		switch {
		case b.marks[n].run:
			runs = append(runs, b.marks[n])
		case !b.marks[n].torn && cap(b.chunks[n]) == largeChunk && len(b.spare) < window/largeChunk:
			b.spare = append(b.spare, b.chunks[n][:0])
		}
		n++
	}
	b.chunks, b.marks = slices.Delete(b.chunks, 0, n), slices.Delete(b.marks, 0, n)
	b.dropped += n
	if len(runs) > 0 {
		b.pages.mem.dropFirst(b.pages, runs)
	}
}

// tear notes that a Write of what a reader found last has failed; see tornFor.
func (b *buffer) tear(last place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := last.chunk - b.dropped; i >= 0 {
		b.marks[i].torn = true
	}
}

// seal returns all that was committed, and the n bytes after it, as they will be when the buffer has ended. The blob
// holds nothing: it is whose who holds the pages.
func (b *buffer) seal(n int) *blob {
	out := &blob{size: b.size + int64(n), pages: b.pages, chunks: make([][]byte, 0, len(b.chunks))}
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
	out.chunks = b.pages.join(out.chunks)
	return out
}

// trim gives back the room behind the last chunk. Readers of the buffer keep what they hold.
func (b *buffer) trim(i int, c []byte) []byte {
	if b.marks[i].run {
		b.pages.mem.trim(b.pages, len(c))
		return c[:len(c):len(c)]
	}
	if cap(c)-len(c) > cap(c)/8 {
		return append(make([]byte, 0, len(c)), c...)
	}
	return c
}

// blob is a body that is whole.
type blob struct {
	chunks [][]byte
	size   int64
	pages  *pages
}

// Size is the number of bytes.
func (b *blob) Size() int64 { return b.size }

// at is that of buffer.
func (b *blob) at(off int64, hint *place) (p []byte, more <-chan struct{}, err error) {
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

// ReadAt is that of io.ReaderAt.
func (b *blob) ReadAt(p []byte, off int64) (int, error) {
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
