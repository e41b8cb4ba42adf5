package cluster

import (
	"sync"
	"time"
)

// near remembers the holders of keys, so that the directory is asked only now and then. It is bounded: two generations per
// shard. Entries older than nearFor are ignored. The zero value is empty.
type near struct {
	shards [nearShards]nearShard
}

const (
	nearFor    = 30 * time.Second
	nearShards = 16
	nearMost   = 8192 // keys in one generation of a shard
)

type nearShard struct {
	mu         sync.Mutex
	young, old map[digest]heldBy
}

type heldBy struct {
	node  string
	until time.Time
}

func (n *near) get(key digest) (node string, ok bool) {
	s := &n.shards[key.shard()]
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.young[key]
	if !ok {
		h, ok = s.old[key]
	}
	return h.node, ok && time.Now().Before(h.until)
}

func (n *near) put(key digest, node string) {
	s := &n.shards[key.shard()]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || len(s.young) >= nearMost {
		s.old, s.young = s.young, map[digest]heldBy{}
	}
	s.young[key] = heldBy{node, time.Now().Add(nearFor)}
}

func (n *near) clear() {
	for i := range n.shards {
		s := &n.shards[i]
		s.mu.Lock()
		s.young, s.old = nil, nil
		s.mu.Unlock()
	}
}
