package body

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/arena"
)

// Pool is the memory of bodies, and of anything counted with them, within one bound. Its methods may be called concurrently.
type Pool struct {
	max     int64
	evict   func(n int64) bool
	growing atomic.Int64 // bytes of bodies that are not whole yet
	torn    atomic.Int64 // bytes that are pinned because a Write of them failed

	mu    sync.Mutex
	arena *arena.Arena // nil: all memory is from the heap
	used  int64        // bytes of the heap, and those that Charge counted
}

// The arena is larger than the bound by one part in slack. Otherwise a full arena consists of small gaps, and a body lies in
// three times as many pieces, each of which needs a write.
const slack = 32

// NewPool returns a Pool of at most maxBytes. If the system allows it, the garbage collector does not count this memory. evict
// gives up bodies until n bytes are free, if it can, and reports whether they are. It is called without a lock. Nil: nothing
// can be given up.
func NewPool(maxBytes int64, evict func(n int64) bool) *Pool {
	return &Pool{max: maxBytes, evict: evict, arena: arena.New(maxBytes + maxBytes/slack)}
}

// NewHeap returns a Pool that takes its memory from the garbage-collected heap and gives it back there.
func NewHeap(maxBytes int64) *Pool { return &Pool{max: maxBytes} }

// Max is the bound in bytes.
func (m *Pool) Max() int64 { return m.max }

// Charge counts n more bytes that the caller keeps besides the bodies. A negative n counts fewer.
func (m *Pool) Charge(n int64) {
	m.mu.Lock()
	m.used += n
	m.mu.Unlock()
}

// Size is the sum of everything counted, in bytes.
func (m *Pool) Size() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.size()
}

func (m *Pool) size() int64 {
	if m.arena == nil {
		return m.used
	}
	return m.used + m.arena.Used()
}

// crowded reports whether no more bytes may be torn.
func (m *Pool) crowded() bool { return m.torn.Load() >= m.max/8 }

// alloc returns an empty chunk with room for at most n bytes, and whether it is a run. It returns nil if there is no room at
// all.
func (m *Pool) alloc(p *pages, n int) (chunk []byte, isRun bool) {
	size := int64(n)
	if m.arena != nil {
		size = int64(arena.Pages(n) * arena.PageSize)
	}
	for range 4 { // another goroutine may take the freed memory
		if chunk, isRun, ok := m.take(p, n, size); ok {
			return chunk, isRun
		}
		if m.evict == nil || size > m.max || !m.evict(size) {
			break
		}
	}
	return nil, false
}

func (m *Pool) take(p *pages, n int, size int64) (chunk []byte, isRun, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.size()+size > m.max {
		return nil, false, false
	}
	if m.arena == nil {
		m.fromHeap(p, size)
		return make([]byte, 0, n), false, true
	}
	r, mem := m.arena.Alloc(arena.Pages(n), p.runs)
	if mem == nil {
		return nil, false, true
	}
	p.runs = append(p.runs, r)
	m.grow(p, int64(r.Size()))
	return mem[:0:min(len(mem), n)], true, true
}

// lastResort returns an empty chunk of the heap. It is counted, even if that exceeds the bound.
func (m *Pool) lastResort(p *pages, n int) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fromHeap(p, int64(n))
	return make([]byte, 0, n)
}

func (m *Pool) fromHeap(p *pages, n int64) {
	m.used += n
	p.heap += n
	m.grow(p, n)
}

// giveUp subtracts n bytes of the heap.
func (m *Pool) giveUp(p *pages, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fromHeap(p, -n)
}

func (m *Pool) grow(p *pages, n int64) {
	p.grows.Add(n)
	m.growing.Add(n)
}

// settle stops counting a body among those that grow.
func (m *Pool) settle(p *pages) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.grow(p, -p.grows.Load())
}

func (m *Pool) free(p *pages) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range slices.Backward(p.runs) { // so that the next body gets them in their order again
		m.arena.Free(r)
	}
	m.used -= p.heap
	m.grow(p, -p.grows.Load())
	p.runs, p.heap = nil, 0
}

// trim gives back the pages of the last run beyond its first n bytes.
func (m *Pool) trim(p *pages, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := &p.runs[len(p.runs)-1]
	keep, rest := last.Cut(n)
	m.arena.Free(rest)
	*last = keep
	m.grow(p, -int64(rest.Size()))
}

// join merges adjacent chunks. The chunks are all that the pages have.
func (m *Pool) join(p *pages, chunks [][]byte) [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.heap > 0 {
		return chunks
	}
	return m.arena.Join(chunks, p.runs)
}

// dropFirst gives back the first run. It pins the run first for readers who are using it.
func (m *Pool) dropFirst(p *pages, lookers []*Reader) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := p.runs[0]
	for _, l := range lookers {
		m.arena.Pin(r)
		l.pinned = append(l.pinned, r)
	}
	m.arena.Free(r)
	p.runs = p.runs[1:]
	m.grow(p, -int64(r.Size()))
}

func (m *Pool) unpin(runs []arena.Run) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range runs {
		m.arena.Unpin(r)
	}
}

// pinFor pins runs for TornFor. The caller holds the lock.
func (m *Pool) pinFor(runs []arena.Run) {
	for _, r := range runs {
		m.arena.Pin(r)
	}
	m.passOn(runs)
}

// passOn unpins runs after TornFor.
func (m *Pool) passOn(runs []arena.Run) {
	n := int64(0)
	for _, r := range runs {
		n += int64(r.Size())
	}
	if n == 0 {
		return
	}
	m.torn.Add(n)
	time.AfterFunc(TornFor, func() {
		m.unpin(runs)
		m.torn.Add(-n)
	})
}
