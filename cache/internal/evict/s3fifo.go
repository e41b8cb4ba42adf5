// Package evict decides what a bounded cache drops. It knows keys and weights, and nothing about the values.
package evict

import (
	"hash/maphash"
	"iter"
	"sync/atomic"
)

// Policy is S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", 2023). New items enter a small queue.
// Items that are asked for again before they reach its end move to the main queue; the others leave, and only the hashes of
// their keys are remembered for a while. In the main queue an item that was asked for goes round once more. In both queues, an
// item that a viewer is approaching counts as asked for. What shows that a viewer approaches is learned.
//
// Items that a live playlist names are in a queue of their own, ordered by when they were last asked for.
//
// A Policy is not safe for concurrent use, except for Find.
type Policy[V any] struct {
	max         int64
	busy        func(*V) bool
	items       map[uint64]*Item[V] // by the hash of the key
	small, main queue[V]
	live        queue[V] // named by a live playlist; items that are asked for move to the front
	over        queue[V] // have left their live playlist: they are dropped first
	naming      map[uint64]int32
	ghosts      ghosts
	odds        odds
	clock       atomic.Uint64 // requests and new items
}

// Item is the value under a key.
type Item[V any] struct {
	Key    string
	Value  V
	Weight int64

	hash       uint64
	prev, next *Item[V]
	last       atomic.Uint64 // by Policy.clock: when it was asked for, or inserted
	moved      uint64        // by Policy.clock: when it came to the front of the live queue
	asked      atomic.Uint32 // at most 3
	windows    int32         // how many live playlists name it
	inMain     bool
	over       bool
	why        reason // it stayed when it last came to the end of its queue, or could have stayed
}

// New returns a Policy for items of maxWeight in all. busy reports that dropping a value would free nothing now.
func New[V any](maxWeight int64, busy func(*V) bool) *Policy[V] {
	return &Policy[V]{
		max: maxWeight, busy: busy,
		items: map[uint64]*Item[V]{}, naming: map[uint64]int32{}, ghosts: ghosts{seen: map[uint64]uint64{}}, odds: newOdds(),
	}
}

var seed = maphash.MakeSeed()

// Hash stands for a key. Outsiders cannot construct two keys with the same hash.
func Hash(key string) uint64 { return maphash.String(seed, key) }

// Len is the number of items.
func (p *Policy[V]) Len() int { return len(p.items) }

// All iterates over the items, in no order. The current one may be removed.
func (p *Policy[V]) All() iter.Seq[*Item[V]] {
	return func(yield func(*Item[V]) bool) {
		for _, it := range p.items {
			if !yield(it) {
				return
			}
		}
	}
}

// Peek returns the item of a key, nil if there is none.
func (p *Policy[V]) Peek(key string) *Item[V] {
	if it := p.items[Hash(key)]; it != nil && it.Key == key {
		return it
	}
	return nil
}

func (p *Policy[V]) peek(key []byte) *Item[V] {
	return p.hashed(maphash.Bytes(seed, key), key)
}

// hashed is peek for a caller that needs the hash as well.
func (p *Policy[V]) hashed(hash uint64, key []byte) *Item[V] {
	if it := p.items[hash]; it != nil && it.Key == string(key) {
		return it
	}
	return nil
}

// Get is Peek for a caller that uses the item: it counts as asked for.
func (p *Policy[V]) Get(key string) *Item[V] {
	it := p.Peek(key)
	if p.ask(it) {
		p.Renew(it)
	}
	return it
}

// Find is Get with a key in bytes. Any number of callers may use it at a time, while nobody calls another method. late asks the
// caller to call Renew, for which it must be alone. late is set only for items of live playlists, and for each of them only
// once in as many requests as there are such items.
func (p *Policy[V]) Find(key []byte) (it *Item[V], late bool) {
	it = p.peek(key)
	return it, p.ask(it)
}

func (p *Policy[V]) ask(it *Item[V]) (late bool) {
	if it == nil {
		return false
	}
	if n := it.asked.Load(); n < 3 {
		it.asked.Store(n + 1) // of two concurrent calls, one may get lost
	}
	p.touch(it)
	return it.windows > 0 && it.last.Load()-it.moved > uint64(p.live.items)
}

// Renew moves an item to the front of the live queue, if it is still in that queue.
func (p *Policy[V]) Renew(it *Item[V]) {
	if it.windows > 0 && p.items[it.hash] == it {
		p.live.remove(it)
		p.live.push(it)
		it.moved = it.last.Load()
	}
}

func (p *Policy[V]) touch(it *Item[V]) { it.last.Store(p.clock.Add(1)) }

// Insert adds an item. It returns the item that it replaces, nil if there is none.
func (p *Policy[V]) Insert(it *Item[V]) (old *Item[V]) {
	it.hash = Hash(it.Key)
	if old = p.items[it.hash]; old != nil {
		it.inMain = old.inMain
		it.asked.Store(old.asked.Load())
		p.Remove(old)
	} else {
		it.inMain = p.ghosts.take(it.hash)
	}
	it.windows = p.naming[it.hash]
	p.items[it.hash] = it
	p.touch(it)
	p.queueOf(it).push(it)
	return old
}

// Remove removes an item.
func (p *Policy[V]) Remove(it *Item[V]) {
	p.queueOf(it).remove(it)
	delete(p.items, it.hash)
}

func (p *Policy[V]) queueOf(it *Item[V]) *queue[V] {
	switch {
	case it.windows > 0:
		return &p.live
	case it.over:
		return &p.over
	case it.inMain:
		return &p.main
	}
	return &p.small
}

// Victim returns the item to drop next, nil if all that are left are busy. It stays in place until it is removed.
func (p *Policy[V]) Victim() *Item[V] {
	if it := p.idle(&p.over); it != nil {
		return it
	}
	// Live windows may take most of the room, but popular items besides them deserve some of it.
	if p.live.weight > p.max/4*3 {
		if it := p.idle(&p.live); it != nil {
			return it
		}
	}
	if it := p.leastAsked(); it != nil {
		return it
	}
	return p.idle(&p.live)
}

// leastAsked is the victim among items that no live playlist names.
func (p *Policy[V]) leastAsked() (last *Item[V]) {
	for range mostTries {
		it := p.main.last
		if p.small.last != nil && (p.small.weight > p.max/20 || it == nil) {
			it = p.small.last
		}
		if it == nil {
			break
		}
		if !p.busy(&it.Value) {
			last = it
			if !p.deserves(it) {
				if !it.inMain {
					p.ghosts.add(ghost{it.hash, it.last.Load(), it.why}, len(p.items), p.odds.learn)
				}
				return it
			}
		}
		p.queueOf(it).remove(it)
		it.inMain = true
		p.main.push(it)
	}
	if last == nil { // the main queue is busy, and the small one was too short to be looked at
		last = p.idle(&p.small)
	}
	return last
}

// deserves reports whether an item at the end of its queue is to go round the main queue. It uses up what speaks for it.
func (p *Policy[V]) deserves(it *Item[V]) bool {
	asked := it.asked.Load()
	if it.inMain {
		p.odds.learn(it.why, asked > 0)
	}
	it.why = nothing
	if asked == 0 {
		return p.awaited(it)
	}
	it.why = wasAsked
	if it.inMain {
		it.asked.Store(asked - 1)
	} else {
		it.asked.Store(0)
	}
	return true
}

// mostTries bounds the search for a victim; most are found at once.
const mostTries = 512

// idle returns the last item of a queue that is not busy, if it is near the end.
func (p *Policy[V]) idle(q *queue[V]) *Item[V] {
	it := q.last
	for range mostTries {
		if it == nil || !p.busy(&it.Value) {
			return it
		}
		it = it.prev
	}
	return nil
}

// Name says that one live playlist more (or fewer) names the item with this hash. over: the playlist has just stopped naming
// it. If no other playlist names it, it is dropped first.
func (p *Policy[V]) Name(hash uint64, more int32, over bool) {
	lists := p.naming[hash] + more
	if lists > 0 {
		p.naming[hash] = lists
	} else {
		delete(p.naming, hash)
	}
	it := p.items[hash]
	if it == nil {
		return
	}
	p.queueOf(it).remove(it)
	it.windows, it.inMain, it.over = lists, false, lists == 0 && over
	p.queueOf(it).push(it)
}

// queue is a list with its weight. Items enter at the front and leave at the back.
type queue[V any] struct {
	first, last *Item[V]
	items       int
	weight      int64
}

func (q *queue[V]) push(it *Item[V]) {
	it.prev, it.next = nil, q.first
	if q.first != nil {
		q.first.prev = it
	} else {
		q.last = it
	}
	q.first = it
	q.items++
	q.weight += it.Weight
}

func (q *queue[V]) remove(it *Item[V]) {
	if it.prev != nil {
		it.prev.next = it.next
	} else {
		q.first = it.next
	}
	if it.next != nil {
		it.next.prev = it.prev
	} else {
		q.last = it.prev
	}
	it.prev, it.next = nil, nil
	q.items--
	q.weight -= it.Weight
}
