package cache

import "sync/atomic"

// pages is the memory of one body: runs of an arena, and pieces of the heap where the arena had none left. Whoever reads
// the body or may do so later holds it; when nobody does, the runs are free again.
type pages struct {
	mem   *Memory // nil: all is from the heap
	holds atomic.Int64
	runs  []run // with mem.mu
	heap  bool  // a part is from the heap, outside of the bound
}

// newPages is held once, by its maker.
func newPages(mem *Memory) *pages {
	p := &pages{mem: mem}
	p.holds.Store(1)
	return p
}

// chunk returns an empty slice with room for up to n bytes, at least for some, and whether that is a run.
func (p *pages) chunk(n int) (c []byte, isRun bool) {
	if p.mem != nil {
		if c := p.mem.alloc(p, n); c != nil {
			return c, true
		}
		p.heap = true
	}
	return make([]byte, 0, n), false
}

// hold keeps the memory until a release. The caller knows that somebody holds it already.
func (p *pages) hold() { p.holds.Add(1) }

// tryHold is hold for those who do not know; false if the memory is not that of the body any more.
func (p *pages) tryHold() bool {
	for {
		n := p.holds.Load()
		if n == 0 {
			return false
		}
		if p.holds.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (p *pages) release() {
	if p.holds.Add(-1) == 0 && p.mem != nil {
		p.mem.free(p)
	}
}

// busy tells whether others than the Store hold it.
func (p *pages) busy() bool { return p.holds.Load() > 1 }

// hold keeps the body of an Entry of the Store, nil if there is none, until letGo; false if it is gone.
func hold(e *Entry) bool {
	if e == nil {
		return false
	}
	b, ok := e.Body.(*blob)
	return !ok || b.pages.tryHold()
}

func letGo(e *Entry) {
	if e == nil {
		return
	}
	if b, ok := e.Body.(*blob); ok {
		b.pages.release()
	}
}
