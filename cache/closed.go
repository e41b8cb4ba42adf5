package cache

import "context"

// window is how far the origin may be ahead of the slowest viewer of an answer that has no end in sight.
const window = 4 << 20

// lonely is the longest answer without a declared length that is kept together for one viewer. It may be a stream without
// an end, and its beginning is of use only to those who would join. Segments are shorter, but for the largest.
const lonely = 8 << 20

// hold lets the pump wait when an answer without a declared length outgrows MaxBody, or what one viewer is worth. It is
// then no longer open to joiners and not stored, and lives in bounded memory: what all viewers have read is dropped, and
// the origin waits for the slowest of them. Nobody gets wrong bytes; a viewer who stands still is its proxy's to cut off.
func (f *fill) hold() error {
	if f.body.length >= 0 || f.body.size <= min(f.t.maxBody(), lonely) {
		return nil
	}
	for {
		f.t.mu.Lock()
		if !f.closed {
			if f.shares > 1 && f.body.size <= f.t.maxBody() {
				f.t.mu.Unlock()
				return nil
			}
			f.closed = true
			f.outgrown.Store(true)
			f.unlist()
		}
		slowest := f.slowest()
		if f.moved == nil {
			f.moved = make(chan struct{})
		}
		moved := f.moved
		stop := f.shares <= 0
		f.t.mu.Unlock()
		if stop {
			return errAbandoned
		}
		if f.body.size > f.t.maxBody() {
			f.t.setAlone(f.o.key)
		}
		f.body.drop(slowest)
		if f.body.size-slowest <= window {
			return nil
		}
		select {
		case <-moved:
		case <-f.ctx.Done():
			return context.Cause(f.ctx)
		}
	}
}

// slowest is the offset that the slowest viewer has reached. The caller holds Transport.mu.
func (f *fill) slowest() int64 {
	if f.shares > len(f.viewers) {
		return 0 // somebody holds a share and has not begun
	}
	at := f.body.size
	for v := range f.viewers {
		at = min(at, v.reached.Load())
	}
	return at
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
