package cache

import (
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/evict"
)

// recent remembers keys for a while, by their hashes, in two generations, so that it is bounded without a sweep.
type recent struct {
	young, old map[uint64]struct{}
	since      time.Time // when young began
}

const (
	recentMost = 4096        // keys a generation
	aloneFor   = time.Minute // a key is remembered for one to two times that
	failingFor = time.Second
)

func (r *recent) add(key string, now time.Time, keep time.Duration) {
	r.turn(now, keep)
	if r.young == nil || len(r.young) >= recentMost {
		r.old, r.young, r.since = r.young, map[uint64]struct{}{}, now
	}
	r.young[evict.Hash(key)] = struct{}{}
}

func (r *recent) has(key string, now time.Time, keep time.Duration) bool {
	if r.young == nil && r.old == nil {
		return false
	}
	r.turn(now, keep)
	hash := evict.Hash(key)
	if _, ok := r.young[hash]; ok {
		return true
	}
	_, ok := r.old[hash]
	return ok
}

func (r *recent) turn(now time.Time, keep time.Duration) {
	switch age := now.Sub(r.since); {
	case age >= 2*keep:
		r.old, r.young = nil, nil
	case age >= keep:
		r.old, r.young = r.young, nil
	default:
		return
	}
	r.since = now
}

// setAlone remembers that the answers to key cannot be shared, so that the next viewers need not wait to learn it, and a
// Range of a large object is not preceded by a question for the whole.
func (t *Transport) setAlone(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.alone.add(key, time.Now(), aloneFor)
}

func (t *Transport) isAlone(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.alone.has(key, time.Now(), aloneFor)
}

// setFailing remembers that the origin failed, so that those who can be served something stale need not wait for its next
// failure.
func (t *Transport) setFailing(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failing.add(key, time.Now(), failingFor)
}

func (t *Transport) isFailing(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failing.has(key, time.Now(), failingFor)
}
