// Package evict decides what a bounded cache drops. It knows keys and weights and nothing of what is kept.
package evict

import (
	"hash/maphash"
	"iter"
	"sync/atomic"
)

// Policy is S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", 2023). New items go to a small queue;
// those asked for again before they reach its end move to the main one, the others leave and only the hashes of their keys
// are remembered for a while. In the main queue an item that was asked for goes round once more. In both an item that a
// viewer is approaching counts as asked for.
//
// What a live playlist names stands apart, in a queue of its own that knows which item was asked for last.
//
// A Policy is not safe for concurrent use, but for Find.
type Policy[V any] struct {
	max         int64
	busy        func(*V) bool
	items       map[uint64]*Item[V] // by the hash of the key
	small, main queue[V]
	live        queue[V] // named by a live playlist; what is asked for goes to the beginning
	over        queue[V] // left their live playlist: they go first
	naming      map[uint64]int32
	ghosts      ghosts
	clock       atomic.Uint64 // requests and new items
}

// Item is what is kept under a key.
type Item[V any] struct {
	Key    string
	Value  V
	Weight int64

	hash       uint64
	prev, next *Item[V]
	last       atomic.Uint64 // by Policy.clock: when it was asked for, or came
	moved      uint64        // likewise: when it came to the beginning of the live queue
	asked      atomic.Uint32 // at most 3
	windows    int32         // live playlists that name it
	inMain     bool
	over       bool
}

// ItemSize is about what an Item, its place in a Policy and its ghost take, beside its Value and the bytes of its key.
const ItemSize = 224

// New returns a Policy for items of maxWeight together. Nothing is gained by dropping a value that is busy.
func New[V any](maxWeight int64, busy func(*V) bool) *Policy[V] {
	return &Policy[V]{
		max: maxWeight, busy: busy,
		items: map[uint64]*Item[V]{}, naming: map[uint64]int32{}, ghosts: ghosts{seen: map[uint64]uint64{}},
	}
}

var seed = maphash.MakeSeed()

// Hash stands for a key. Nobody outside can find two keys that share one.
func Hash(key string) uint64 { return maphash.String(seed, key) }

// Len is the number of items.
func (p *Policy[V]) Len() int { return len(p.items) }

// All are the items, in no order. The one at hand may be removed.
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
	if it := p.items[maphash.Bytes(seed, key)]; it != nil && it.Key == string(key) {
		return it
	}
	return nil
}

// Get is Peek for somebody who wants what the item holds.
func (p *Policy[V]) Get(key string) *Item[V] {
	it := p.Peek(key)
	if p.ask(it) {
		p.Renew(it)
	}
	return it
}

// Find is Get for a key that need not become a string. Any number of callers may use it at a time, while nobody calls another
// method. late asks for Renew: it is for items of live playlists, and for each of them once in as many requests as there are
// items of that kind, since who calls Renew must be alone.
func (p *Policy[V]) Find(key []byte) (it *Item[V], late bool) {
	it = p.peek(key)
	return it, p.ask(it)
}

func (p *Policy[V]) ask(it *Item[V]) (late bool) {
	if it == nil {
		return false
	}
	if n := it.asked.Load(); n < 3 {
		it.asked.Store(n + 1) // of two at a time one may be lost
	}
	p.touch(it)
	return it.windows > 0 && it.last.Load()-it.moved > uint64(p.live.items)
}

// Renew puts an item of a live playlist, if it still is one, where it goes last.
func (p *Policy[V]) Renew(it *Item[V]) {
	if it.windows > 0 && p.items[it.hash] == it {
		p.live.remove(it)
		p.live.push(it)
		it.moved = it.last.Load()
	}
}

func (p *Policy[V]) touch(it *Item[V]) { it.last.Store(p.clock.Add(1)) }

// Insert takes an item in, and returns the one whose place it takes, nil if there is none.
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

// Remove takes an item out.
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

// Victim returns the item that goes next, nil if all that are left are busy. It stays where it is until it is removed.
func (p *Policy[V]) Victim() *Item[V] {
	if it := p.idle(&p.over); it != nil {
		return it
	}
	// Live windows may have most of the room, but what is asked for again and again beside them is worth some of it.
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

// leastAsked is the victim among those that no live playlist names.
func (p *Policy[V]) leastAsked() (last *Item[V]) {
	for range mostTries {
		it := p.main.last
		if p.small.last != nil && (p.small.weight > p.max/20 || it == nil) {
			it = p.small.last
		}
		if it == nil {
			break
		}
		busy := p.busy(&it.Value)
		if !busy {
			last = it
		}
		switch {
		case busy:
		case it.asked.Load() == 0 && !p.awaited(it):
			if !it.inMain {
				p.ghosts.add(it.hash, len(p.items))
			}
			return it
		case it.inMain:
			it.asked.Store(max(it.asked.Load(), 1) - 1)
		default:
			it.asked.Store(0)
		}
		p.queueOf(it).remove(it)
		it.inMain = true
		p.main.push(it)
	}
	return last
}

// mostTries bounds the search for a victim; most are found at once.
const mostTries = 512

// idle returns the last item of a queue that is not busy, if it is not far from the end.
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

// Name says that one live playlist more, or less, names what has this hash. What one has just stopped naming, over, and no
// other names goes first.
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

// queue is a list with its weight; items come in first and leave last.
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
