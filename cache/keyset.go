package cache

import (
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/evict"
)

// keySet remembers hashes of keys for a while: at least keep, and at most twice as long. Two generations bound it without a
// sweep. No other lock is taken under its own.
type keySet struct {
	mu         sync.Mutex
	young, old map[uint64]struct{}
	since      time.Time // when young began
}

const keySetSize = 4096 // keys a generation

func (s *keySet) add(keep time.Duration, keys ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.turn(now, keep)
	for _, key := range keys {
		if s.young == nil || len(s.young) >= keySetSize {
			s.old, s.young, s.since = s.young, map[uint64]struct{}{}, now
		}
		s.young[evict.Hash(key)] = struct{}{}
	}
}

func (s *keySet) has(key string, keep time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil && s.old == nil {
		return false
	}
	s.turn(time.Now(), keep)
	hash := evict.Hash(key)
	if _, ok := s.young[hash]; ok {
		return true
	}
	_, ok := s.old[hash]
	return ok
}

func (s *keySet) turn(now time.Time, keep time.Duration) {
	switch age := now.Sub(s.since); {
	case age >= 2*keep:
		s.old, s.young = nil, nil
	case age >= keep:
		s.old, s.young = s.young, nil
	default:
		return
	}
	s.since = now
}

// keyTimes remembers times for hashes of keys, in two generations. No other lock is taken under its own.
type keyTimes struct {
	mu         sync.Mutex
	young, old map[uint64]time.Time
}

func (s *keyTimes) set(times map[string]time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, at := range times {
		if s.young == nil || len(s.young) >= keySetSize {
			s.old, s.young = s.young, map[uint64]time.Time{}
		}
		if hash := evict.Hash(key); at.After(s.of(hash)) {
			s.young[hash] = at
		}
	}
}

// get returns the zero time for a key that is not known.
func (s *keyTimes) get(key string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of(evict.Hash(key))
}

func (s *keyTimes) of(hash uint64) time.Time {
	if at, ok := s.young[hash]; ok {
		return at
	}
	return s.old[hash]
}
