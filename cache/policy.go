package cache

import "weak"

// policy decides what Memory drops: S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", 2023). New
// entries go to a small queue; those asked for again before they reach its end move to the main one, the others leave and
// only their keys are remembered for a while. In the main queue an entry that was asked for goes round once more. In both
// an entry to which a viewer is on the way counts as asked for.
// What a live playlist names stands apart, in a queue of its own that knows who was asked for last.
type policy struct {
	max         int64
	items       map[string]*item
	small, main queue
	live        queue // named by a live playlist; who is asked for goes to the beginning
	over        queue // left their live playlist: they go first
	ghosts      ghosts
	clock       uint64 // requests and new entries
}

// item is an Entry in one of the queues: that of a Dir, or in a Memory what it was packed into.
type item struct {
	key   string
	entry *Entry
	packed
	lent       weak.Pointer[Entry] // what Memory.Get has returned and somebody may still have
	overhead   int64               // beside the pages of the body
	weight     int64               // with them
	prev, next *item
	last       uint64 // by policy.clock: when it was asked for, or came
	windows    int32  // live playlists that name it
	asked      uint8  // at most 3
	inMain     bool
	over       bool
}

func newPolicy(maxBytes int64) policy {
	return policy{max: maxBytes, items: map[string]*item{}, ghosts: ghosts{seen: map[string]uint64{}}}
}

func (p *policy) get(key string) *item { return p.ask(p.items[key]) }

// ask takes note that an item, if it is one, is wanted.
func (p *policy) ask(it *item) *item {
	if it == nil {
		return nil
	}
	it.asked = min(it.asked+1, 3)
	p.touch(it)
	if it.windows > 0 {
		p.live.remove(it)
		p.live.push(it)
	}
	return it
}

func (p *policy) touch(it *item) {
	p.clock++
	it.last = p.clock
}

func (p *policy) insert(it *item) {
	p.items[it.key] = it
	p.touch(it)
	p.queueOf(it).push(it)
}

func (p *policy) queueOf(it *item) *queue {
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

func (p *policy) remove(it *item) {
	p.queueOf(it).remove(it)
	delete(p.items, it.key)
}

// victim returns the entry that goes next, nil if all that are left are being read, so that their going would free
// nothing. It stays where it is until it is removed.
func (p *policy) victim() *item {
	if it := p.over.idle(); it != nil {
		return it
	}
	// Live windows may have most of the room, but what is asked for again and again beside them is worth some of it.
	if p.live.size > p.max/4*3 {
		if it := p.live.idle(); it != nil {
			return it
		}
	}
	if it := p.leastAsked(); it != nil {
		return it
	}
	return p.live.idle()
}

// leastAsked is the victim among those that no live playlist names.
func (p *policy) leastAsked() (last *item) {
	for range mostTries {
		it := p.main.last
		if p.small.last != nil && (p.small.size > p.max/20 || it == nil) {
			it = p.small.last
		}
		if it == nil {
			break
		}
		busy := it.busy()
		if !busy {
			last = it
		}
		switch {
		case busy:
		case it.asked == 0 && !p.awaited(it):
			if !it.inMain {
				p.ghosts.add(it.key, len(p.items))
			}
			return it
		case it.inMain:
			it.asked = max(it.asked, 1) - 1
		default:
			it.asked = 0
		}
		p.queueOf(it).remove(it)
		it.inMain = true
		p.main.push(it)
	}
	return last
}

// mostTries bounds the search for a victim; most are found at once.
const mostTries = 512

// idle returns the last entry that is not being read, if it is not far from the end.
func (q *queue) idle() *item {
	it := q.last
	for range mostTries {
		if it == nil || !it.busy() {
			break
		}
		it = it.prev
	}
	if it == nil || it.busy() {
		return nil
	}
	return it
}

func (it *item) busy() bool { return it.body != nil && it.body.pages.busy() }

// queue is a list with its weight; entries come in first and leave last.
type queue struct {
	first, last *item
	size        int64
}

func (q *queue) push(it *item) {
	it.prev, it.next = nil, q.first
	if q.first != nil {
		q.first.prev = it
	} else {
		q.last = it
	}
	q.first = it
	q.size += it.weight
}

func (q *queue) remove(it *item) {
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
	q.size -= it.weight
}
