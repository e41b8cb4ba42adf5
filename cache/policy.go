package cache

// policy decides what Memory drops: S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", 2023). New
// entries go to a small queue; those asked for again before they reach its end move to the main one, the others leave and
// only their keys are remembered for a while. In the main queue an entry that was asked for goes round once more.
type policy struct {
	max         int64
	items       map[string]*item
	small, main queue
	ghosts      ghosts
}

// item is an Entry in one of the queues.
type item struct {
	key        string
	entry      *Entry
	weight     int64
	asked      uint8 // at most 3
	inMain     bool
	prev, next *item
}

func newPolicy(maxBytes int64) policy {
	return policy{max: maxBytes, items: map[string]*item{}, ghosts: ghosts{seen: map[string]uint64{}}}
}

func (p *policy) get(key string) *Entry {
	it := p.items[key]
	if it == nil {
		return nil
	}
	it.asked = min(it.asked+1, 3)
	return it.entry
}

// put returns how many entries had to go.
func (p *policy) put(key string, e *Entry, weight int64) (evicted uint64) {
	old := p.items[key]
	if old != nil {
		p.remove(old)
	}
	if weight > p.max {
		return 0
	}
	it := &item{key: key, entry: e, weight: weight}
	if old != nil {
		it.inMain, it.asked = old.inMain, old.asked
	} else {
		it.inMain = p.ghosts.take(key)
	}
	for p.small.size+p.main.size+weight > p.max {
		p.evict()
		evicted++
	}
	p.items[key] = it
	p.queueOf(it).push(it)
	return evicted
}

func (p *policy) queueOf(it *item) *queue {
	if it.inMain {
		return &p.main
	}
	return &p.small
}

func (p *policy) remove(it *item) {
	p.queueOf(it).remove(it)
	delete(p.items, it.key)
}

// evict drops one entry; there is one.
func (p *policy) evict() {
	for {
		if p.small.size > p.max/10 || p.main.last == nil {
			it := p.small.last
			p.small.remove(it)
			if it.asked > 0 {
				it.asked, it.inMain = 0, true
				p.main.push(it)
				continue
			}
			p.ghosts.add(it.key, len(p.items))
			delete(p.items, it.key)
			return
		}
		it := p.main.last
		p.main.remove(it)
		if it.asked > 0 {
			it.asked--
			p.main.push(it)
			continue
		}
		delete(p.items, it.key)
		return
	}
}

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

// ghosts remembers the keys that left the small queue last, about as many as there are entries.
type ghosts struct {
	seen  map[string]uint64 // when
	order []string
	head  int
	clock uint64
}

func (g *ghosts) add(key string, entries int) {
	g.clock++
	g.seen[key] = g.clock
	g.order = append(g.order, key)
	most := max(entries, 64)
	for len(g.order)-g.head > most {
		old := g.order[g.head]
		// A key that came again since has a later turn.
		if g.seen[old] <= g.clock-uint64(len(g.order)-g.head)+1 {
			delete(g.seen, old)
		}
		g.order[g.head] = ""
		g.head++
	}
	if g.head > len(g.order)/2+64 {
		g.order = append([]string(nil), g.order[g.head:]...)
		g.head = 0
	}
}

func (g *ghosts) take(key string) bool {
	_, ok := g.seen[key]
	delete(g.seen, key)
	return ok
}
