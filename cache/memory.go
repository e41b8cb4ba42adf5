package cache

import (
	"context"
	"runtime"
	"sync"
	"weak"
)

// Memory is a Store in memory, bounded by bytes. What is asked for once only, as by a scan through an archive, does not
// displace what is asked for often; of files that are numbered, those to which a viewer is on the way stay; segments that
// a live playlist names stay, and go first when it names them no more (see Transport.Refs). An Entry that is dropped stays
// whole for whoever reads it. Its methods may be called concurrently.
//
// The bound holds for all that a Memory and the Transport it is the Store of keep: bodies, those of running fills
// included, keys, header fields and bookkeeping. Bodies lie outside of the garbage-collected heap where the system allows
// it, in memory that is taken as needed and used again; of gaps between them there may be a thirty-second more.
type Memory struct {
	max int64

	mu       sync.Mutex
	policy   policy
	arena    *arena
	windows  windows
	overhead int64 // of entries, beside the pages of their bodies
	evicted  uint64
}

// slack is the part of the bound by which the arena is larger. Without it a full one is all small gaps, and a body lies in
// three times as many pieces as it needs, each of which is a write.
const slack = 32

// NewMemory returns a Memory that takes at most maxBytes. 0 or less: it holds nothing.
func NewMemory(maxBytes int64) *Memory {
	maxBytes = max(maxBytes, 0)
	return &Memory{max: maxBytes, policy: newPolicy(maxBytes), arena: newArena(maxBytes + maxBytes/slack)}
}

// Get returns the Entry that was put under key, fresh or not; nil if there is none. It never fails. The memory of the
// Entry's body is not used for another as long as the Body is reachable.
func (m *Memory) Get(_ context.Context, key string) (*Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	it := m.policy.get(key)
	if it == nil {
		return nil, nil
	}
	if e := it.lent.Value(); e != nil {
		return e, nil
	}
	e := &it.packed.reply(key, 0).entry
	if it.body != nil {
		it.body.pages.hold()
		held := &heldBody{it.body}
		runtime.AddCleanup(held, (*pages).release, it.body.pages)
		e.Body = held
	}
	it.lent = weak.Make(e)
	return e, nil
}

// heldBody is a body in the hands of a caller of whom we cannot know when it has done with it.
type heldBody struct{ *blob }

// ReadAt is that of io.ReaderAt.
func (h *heldBody) ReadAt(p []byte, off int64) (int, error) {
	n, err := h.blob.ReadAt(p, off)
	runtime.KeepAlive(h)
	return n, err
}

// get returns an Entry whose body may be gone by the time that it is used; see pages.tryHold. The rest is the caller's, and
// its header has room for what an answer is given, and more fields.
func (m *Memory) get(key string, more int) *reply {
	m.mu.Lock()
	it := m.policy.get(key)
	m.mu.Unlock()
	if it == nil {
		return nil
	}
	return it.packed.reply(key, more)
}

// find is get for a key that is a string only if there is something under it.
func (m *Memory) find(key []byte, more int) (*reply, string) {
	m.mu.Lock()
	it := m.policy.ask(m.policy.items[string(key)])
	m.mu.Unlock()
	if it == nil {
		return nil, string(key)
	}
	return it.packed.reply(it.key, more), it.key
}

// Put keeps e under key, at the price of others. An Entry that does not fit is not kept. It never fails.
func (m *Memory) Put(_ context.Context, key string, e *Entry) error {
	p := pack(key, e)
	it := &item{key: key, packed: p, overhead: weigh(key, &p)}
	if e.size()+it.overhead <= m.max {
		if b := it.body; b != nil && b.pages.mem == m && !b.pages.heap {
			b.pages.hold()
			m.insert(it)
			return nil
		}
		var ok bool
		if it.body, ok = m.adopt(e.Body); ok {
			m.insert(it)
			return nil
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if it := m.policy.items[key]; it != nil {
		m.drop(it) // what it replaces is out of date
	}
	return nil
}

// adopt copies a body into pages; not if there is no room. Nothing of a body is nil.
func (m *Memory) adopt(body Body) (*blob, bool) {
	if body == nil || body.Size() == 0 {
		return nil, true
	}
	b := newBuffer(body.Size(), newPages(m))
	for b.size < b.length {
		p := b.space()
		if b.pages.heap {
			break
		}
		n, err := body.ReadAt(p[:min(int64(len(p)), b.length-b.size)], b.size)
		if n == 0 && err != nil {
			break
		}
		b.commit(n)
	}
	if b.size < b.length {
		b.pages.release()
		return nil, false
	}
	return b.seal(0), true
}

// insert takes in an item whose body is held for the Store.
func (m *Memory) insert(it *item) {
	m.mu.Lock()
	defer m.mu.Unlock()
	it.weight = it.overhead
	if it.body != nil {
		for _, r := range it.body.pages.runs {
			it.weight += int64(r.pages) * pageSize
		}
	}
	if old := m.policy.items[it.key]; old != nil {
		it.inMain, it.asked = old.inMain, old.asked
		m.drop(old)
	} else {
		it.inMain = m.policy.ghosts.take(it.key)
	}
	it.windows = int32(m.windows.naming[it.key])
	m.overhead += it.overhead
	m.policy.insert(it)
	m.makeRoom(0)
}

// makeRoom drops entries until n more bytes fit; false if there is nothing left that would help.
func (m *Memory) makeRoom(n int64) bool {
	for m.size()+n > m.max {
		it := m.policy.victim()
		if it == nil {
			return false
		}
		m.evicted++
		m.drop(it)
	}
	return true
}

// drop removes an item and lets go of its body.
func (m *Memory) drop(it *item) {
	m.policy.remove(it)
	m.overhead -= it.overhead
	if b := it.body; b != nil && b.pages.holds.Add(-1) == 0 {
		m.release(b.pages)
	}
}

// Len is the number of entries.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.policy.items)
}

// Size is what is taken now, in bytes, counted as the bound of NewMemory.
func (m *Memory) Size() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.size()
}

func (m *Memory) size() int64 { return m.arena.used*pageSize + m.overhead }

func (m *Memory) evictions() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.evicted
}
