package cache

import (
	"context"
	"sync"
)

// Memory is a Store in memory, bounded by bytes. What is asked for once only, as by a scan through an archive, does not
// displace what is asked for often. An Entry that is dropped stays whole for whoever reads it. Its methods may be called
// concurrently.
type Memory struct {
	mu      sync.Mutex
	policy  policy
	evicted uint64
}

// NewMemory returns a Memory that holds at most maxBytes, keys, header fields and bookkeeping included. 0 or less: it
// holds nothing.
func NewMemory(maxBytes int64) *Memory {
	return &Memory{policy: newPolicy(max(maxBytes, 0))}
}

// Get returns the Entry that was put under key, fresh or not; nil if there is none. It never fails.
func (m *Memory) Get(_ context.Context, key string) (*Entry, error) { return m.get(key), nil }

func (m *Memory) get(key string) *Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.policy.get(key)
}

// Put keeps e under key, at the price of others. An Entry that alone would not fit is not kept. It never fails.
func (m *Memory) Put(_ context.Context, key string, e *Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.evicted += m.policy.put(key, e, weigh(key, e))
	return nil
}

// Len is the number of entries.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.policy.items)
}

// Size is what the entries take, in bytes, counted as the bound of NewMemory.
func (m *Memory) Size() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.policy.small.size + m.policy.main.size
}

func (m *Memory) evictions() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.evicted
}

// weigh estimates what an Entry takes beside its body: the structures of this package and of maps, and its strings.
func weigh(key string, e *Entry) int64 {
	const entry, field = 640, 64
	n := entry + 2*len(key) + len(e.URL)
	for name, values := range e.Header {
		n += field + len(name)
		for _, v := range values {
			n += len(v)
		}
	}
	for name, values := range e.Vary {
		n += field + len(name)
		for _, v := range values {
			n += len(v)
		}
	}
	return int64(n) + e.size()
}
