package main

import (
	"container/heap"
	"container/list"
	"math"
)

// belady drops the object whose next request is latest. It does not keep an object whose next request is later than those of
// all it has.
func belady(t trace, capacity int64) (hits int) {
	next := make([]int, len(t.requests))
	seen := make([]int, len(t.sizes))
	for i := range seen {
		seen[i] = math.MaxInt
	}
	for i := len(t.requests) - 1; i >= 0; i-- {
		o := t.requests[i]
		next[i], seen[o] = seen[o], i
	}
	when := make([]int, len(t.sizes)) // the next request of each kept object; 0: it is not kept
	var last latest
	var used int64
	for i, o := range t.requests {
		if when[o] == i && i > 0 {
			hits++
			used -= t.sizes[o]
		}
		when[o] = 0
		for next[i] < math.MaxInt && used+t.sizes[o] > capacity && last[0].at > next[i] {
			if out := heap.Pop(&last).(turn); when[out.object] == out.at {
				when[out.object] = 0
				used -= t.sizes[out.object]
			}
		}
		if next[i] < math.MaxInt && used+t.sizes[o] <= capacity {
			when[o] = next[i]
			used += t.sizes[o]
			heap.Push(&last, turn{next[i], o})
		}
	}
	return hits
}

type turn struct {
	at     int
	object uint32
}

// latest is a heap with the latest turn on top. It may hold turns that are over.
type latest []turn

func (l latest) Len() int           { return len(l) }
func (l latest) Less(i, j int) bool { return l[i].at > l[j].at }
func (l latest) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *latest) Push(x any)        { *l = append(*l, x.(turn)) }
func (l *latest) Pop() any {
	x := (*l)[len(*l)-1]
	*l = (*l)[:len(*l)-1]
	return x
}

// lru is the simplest cache.
type lru struct {
	capacity, used int64
	order          *list.List // of kept, the most recent first
	items          map[string]*list.Element
}

type kept struct {
	key  string
	size int64
	body []byte
}

func newLRU(capacity int64) *lru {
	return &lru{capacity: capacity, order: list.New(), items: map[string]*list.Element{}}
}

func (l *lru) get(key string) bool {
	e := l.items[key]
	if e != nil {
		l.order.MoveToFront(e)
	}
	return e != nil
}

func (l *lru) put(key string, size int64, body []byte) {
	if l.items[key] != nil {
		return // another goroutine was faster
	}
	for l.used += size; l.used > l.capacity && l.order.Len() > 0; {
		out := l.order.Remove(l.order.Back()).(kept)
		delete(l.items, out.key)
		l.used -= out.size
	}
	l.items[key] = l.order.PushFront(kept{key, size, body})
}

func lruHits(t trace, capacity int64) (hits int) {
	l, keys := newLRU(capacity), t.keys()
	for _, o := range t.requests {
		if l.get(keys[o]) {
			hits++
		} else {
			l.put(keys[o], t.sizes[o], nil)
		}
	}
	return hits
}
