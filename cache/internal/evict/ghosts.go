package evict

// ghosts remembers the hashes of the keys that left the small queue last, about as many as there are items. If two keys share a
// hash, one may land in the wrong queue, which does no harm.
type ghosts struct {
	seen  map[uint64]uint64 // when the item was asked for last, by the hash of its key
	order []ghost
	head  int
}

type ghost struct {
	hash, last uint64
	why        reason // which did not suffice
}

// add tells learn whether the oldest came again. It does so for each at the same age: otherwise what comes again would count at
// once, and what does not come only later.
func (g *ghosts) add(gone ghost, items int, learn func(why reason, again bool)) {
	g.seen[gone.hash] = gone.last
	g.order = append(g.order, gone)
	most := max(items, 64)
	for len(g.order)-g.head > most {
		old := g.order[g.head]
		again := g.seen[old.hash] != old.last
		if !again {
			delete(g.seen, old.hash)
		}
		learn(old.why, again)
		g.head++
	}
	if g.head > len(g.order)/2+64 {
		g.order = append([]ghost(nil), g.order[g.head:]...)
		g.head = 0
	}
}

func (g *ghosts) take(hash uint64) bool {
	_, ok := g.seen[hash]
	delete(g.seen, hash)
	return ok
}
