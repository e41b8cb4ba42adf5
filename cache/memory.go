package cache

import (
	"context"
	"sync"
	"weak"

	"github.com/hlsproxy/hlsproxy/cache/internal/body"
	"github.com/hlsproxy/hlsproxy/cache/internal/evict"
)

// Memory is a Store in memory, bounded by bytes. Answers that are asked for only once, for example by a scan through an
// archive, do not displace popular ones. Segments just ahead of a viewer, by their number, are kept. Segments that a live
// playlist names are kept, and are dropped first when it no longer names them (see Transport.Refs). Readers of an Entry that is
// dropped can read it to its end. The methods may be called concurrently.
//
// A Store that embeds a *Memory, for example to count what is put or to purge elsewhere as well, is as fast and as bounded as
// the Memory: the Transport looks entries up without calling its Get. A Store with a Get of its own must keep the *Memory in a
// named field.
//
// The bound covers everything that a Memory and its Transport keep: bodies, also those of running fills, keys, header fields,
// the names in live playlists, and bookkeeping. If the system allows it, bodies lie outside of the garbage-collected heap, in
// memory that is allocated as needed and reused. Fragmentation may add up to 1/32.
//
// While fills take more than half of the bound, none runs more than 256 KiB ahead of its fastest viewer, and a fill that nobody
// follows ends. When all memory is taken, fills are no longer joined or kept. Each goes at the pace of its viewers, through
// memory that they have read, or through 16 KiB beyond the bound. A viewer that stands still for a second while others wait for
// more loses its connection. At most an eighth of the bound is held for HTTP/2 connections that broke, for ten seconds each.
type Memory struct {
	max     int64
	pool    *body.Pool // everything is counted here
	windows windows

	mu      sync.RWMutex // viewers of stored entries only take a read lock
	policy  *evict.Policy[kept]
	evicted uint64
}

// kept is an Entry in a Memory.
type kept struct {
	packed
	overhead int64               // besides the memory of the body
	lent     weak.Pointer[Entry] // the Entry that Get has returned, while somebody may still use it
}

func (k *kept) busy() bool { return k.body != nil && k.body.Busy() }

// inMemory is a Memory, or a Store that embeds one.
type inMemory interface{ memory() *Memory }

func (m *Memory) memory() *Memory { return m }

// NewMemory returns a Memory that takes at most maxBytes. 0 or less: it keeps nothing.
func NewMemory(maxBytes int64) *Memory {
	maxBytes = min(max(maxBytes, 0), 1<<60) // avoids overflow of sums
	m := &Memory{max: maxBytes, policy: evict.New(maxBytes, (*kept).busy)}
	m.pool = body.NewPool(maxBytes, m.evict)
	m.windows.memory = m
	return m
}

// Get returns the Entry that was put under key, fresh or not, or nil if there is none. It never fails. The memory of the body
// is not reused while the Body is reachable.
func (m *Memory) Get(_ context.Context, key string) (*Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	it := m.policy.Get(key)
	if it == nil {
		return nil, nil
	}
	k := &it.Value
	if e := k.lent.Value(); e != nil {
		return e, nil
	}
	e := &k.reply(key, headerRoom{}).entry
	if k.body != nil {
		e.Body = k.body.Lend()
	}
	k.lent = weak.Make(e)
	return e, nil
}

// get returns an Entry whose body may be gone by the time it is used; see body.Blob. The rest belongs to the caller.
func (m *Memory) get(key string, room headerRoom) *reply {
	it := m.look([]byte(key))
	if it == nil {
		return nil
	}
	return it.Value.reply(key, room)
}

// find is get with a key in bytes. It makes a string of the key only if there is something under it.
func (m *Memory) find(key []byte, room headerRoom) (*reply, string) {
	it := m.look(key)
	if it == nil {
		return nil, string(key)
	}
	return it.Value.reply(it.Key, room), it.Key
}

// look returns the item of a key, which counts as asked for. Any number of viewers may look at a time.
func (m *Memory) look(key []byte) *evict.Item[kept] {
	m.mu.RLock()
	it, late := m.policy.Find(key)
	m.mu.RUnlock()
	if late {
		m.mu.Lock()
		m.policy.Renew(it)
		m.mu.Unlock()
	}
	return it
}

// Put keeps e under key, and drops others if it must. An Entry that does not fit is not kept. It never fails.
func (m *Memory) Put(_ context.Context, key string, e *Entry) error {
	k := kept{packed: pack(key, e)}
	k.overhead = weigh(key, &k.packed)
	if e.size()+k.overhead <= m.max {
		if b := k.body; b != nil && b.LiesIn(m.pool) && b.Borrow() {
			m.insert(key, k)
			return nil
		}
		var ok bool
		if k.body, ok = m.adopt(e.Body); ok {
			m.insert(key, k)
			return nil
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if it := m.policy.Peek(key); it != nil {
		m.drop(it) // the old entry is out of date
	}
	return nil
}

// adopt copies a body into the memory. It returns false if there is no room. An empty body is nil.
func (m *Memory) adopt(of Body) (*body.Blob, bool) {
	if of == nil || of.Size() == 0 {
		return nil, true
	}
	b := m.pool.NewBuffer(of.Size())
	for off, size := int64(0), of.Size(); off < size; {
		p := b.Space()
		n := 0
		if p != nil {
			n, _ = of.ReadAt(p[:min(int64(len(p)), size-off)], off)
		}
		if n <= 0 {
			b.Return()
			return nil, false
		}
		b.Commit(n)
		off += int64(n)
	}
	return b.Seal(0), true
}

// insert takes in an Entry whose body is borrowed for the Store.
func (m *Memory) insert(key string, k kept) {
	it := &evict.Item[kept]{Key: key, Value: k, Weight: k.overhead}
	if k.body != nil {
		it.Weight += k.body.Room()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pool.Charge(k.overhead)
	if old := m.policy.Insert(it); old != nil {
		m.giveUp(old)
	}
	m.makeRoom(0)
}

// evict is called by the pool.
func (m *Memory) evict(n int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.makeRoom(n)
}

// makeRoom drops entries until n more bytes fit. It returns false if nothing is left to drop.
func (m *Memory) makeRoom(n int64) bool {
	for m.pool.Size()+n > m.max {
		it := m.policy.Victim()
		if it == nil {
			return false
		}
		m.evicted++
		m.drop(it)
	}
	return true
}

func (m *Memory) drop(it *evict.Item[kept]) {
	m.policy.Remove(it)
	m.giveUp(it)
}

// giveUp gives back the memory of an item.
func (m *Memory) giveUp(it *evict.Item[kept]) {
	m.pool.Charge(-it.Value.overhead)
	if b := it.Value.body; b != nil {
		b.Return()
	}
}

// Purge forgets the entries whose keys match, and returns how many there were. It never fails.
func (m *Memory) Purge(_ context.Context, match func(key string) bool) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for it := range m.policy.All() {
		if match(it.Key) {
			m.drop(it)
			n++
		}
	}
	return n, nil
}

// Len is the number of entries.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.policy.Len()
}

// Size is how many bytes are taken now, counted like the bound of NewMemory.
func (m *Memory) Size() int64 { return m.pool.Size() }

func (m *Memory) evictions() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.evicted
}
