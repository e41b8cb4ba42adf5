package cache

import (
	"context"
	"time"
)

// window is how far the origin may be ahead of the slowest viewer of an answer that has no end in sight.
const window = 4 << 20

// lonely is the longest answer without a declared length that is kept together for one viewer. It may be a stream without
// an end, and its beginning is of use only to those who would join. Segments are shorter, but for the largest.
const lonely = 8 << 20

// ahead is how much of a playlist of undeclared length is fetched before its viewer has read it. Whoever reads playlists
// takes them at once, up to a limit.
const ahead = 1 << 20

// hold lets the pump wait when an answer without a declared length outgrows MaxBody, or what one viewer is worth. It is
// then no longer open to joiners and not stored, and lives in bounded memory: what all viewers have read is dropped, and
// the origin waits for the slowest of them. Nobody gets wrong bytes; a viewer who stands still is its proxy's to cut off.
func (f *fill) hold() error {
	if f.body.length >= 0 || f.body.size <= min(f.t.maxBody(), ahead) {
		return nil
	}
	for {
		moved, read, err := f.pace()
		if err != nil {
			return err
		}
		f.body.drop(read)
		if moved == nil {
			return nil
		}
		select {
		case <-moved:
		case <-f.ctx.Done():
			return context.Cause(f.ctx)
		}
	}
}

// pace returns what to wait for before more is fetched, nil if there is nothing, and how much may be dropped.
func (f *fill) pace() (moved <-chan struct{}, read int64, err error) {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	alone, limit := f.shares == 1 && f.begun() == 1, f.t.maxBody()
	if f.body.size > limit || alone && f.body.size > lonely {
		f.shut()
	}
	far := int64(window)
	switch {
	case f.closed && f.shares <= 0:
		return nil, 0, errAbandoned
	case f.closed && f.body.size > limit:
		f.t.alone.add(f.o.key, time.Now(), aloneFor)
	case !f.closed && !(alone && f.list):
		return nil, 0, nil
	case !f.closed:
		far = ahead
	}
	f.paced.Store(true)
	slowest := f.slowest()
	if f.closed {
		read = slowest
	}
	if f.body.size-slowest <= far {
		return nil, read, nil
	}
	if f.moved == nil {
		f.moved = make(chan struct{})
	}
	return f.moved, read, nil
}

// shut closes the fill, once, and tells those who wait for its end. The caller holds Transport.mu.
func (f *fill) shut() {
	if f.closed {
		return
	}
	f.closed = true
	f.unlist()
	f.body.nudge()
}

// slowest is the offset that the slowest viewer has reached. The caller holds Transport.mu.
func (f *fill) slowest() int64 {
	if f.shares > f.begun() {
		return 0 // somebody holds a share and has not begun
	}
	at := f.body.size
	for v := range f.viewers {
		at = min(at, v.reached.Load())
	}
	return at
}

// begun is how many of those who hold a share have begun to read. A viewer that was closed inside of a Write holds none, though
// its bytes must stay. The caller holds Transport.mu.
func (f *fill) begun() (n int) {
	for v := range f.viewers {
		if !v.gone.Load() {
			n++
		}
	}
	return n
}

// wakePump lets hold look again. The caller holds Transport.mu.
func (f *fill) wakePump() {
	if f.moved != nil {
		close(f.moved)
		f.moved = nil
	}
}

func (f *fill) isClosed() bool {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	return f.closed
}
