package evict

// ghosts remembers the hashes of the keys that left the small queue last, about as many as there are items. If two keys share a
// hash, one may land in the wrong queue, which does no harm.
type ghosts struct {
	seen  map[uint64]uint64 // when
	order []uint64
	head  int
	clock uint64
}

func (g *ghosts) add(hash uint64, items int) {
	g.clock++
	g.seen[hash] = g.clock
	g.order = append(g.order, hash)
	most := max(items, 64)
	for len(g.order)-g.head > most {
		old := g.order[g.head]
		// A key that came again meanwhile has a later turn.
		if g.seen[old] <= g.clock-uint64(len(g.order)-g.head)+1 {
			delete(g.seen, old)
		}
		g.head++
	}
	if g.head > len(g.order)/2+64 {
		g.order = append([]uint64(nil), g.order[g.head:]...)
		g.head = 0
	}
}

func (g *ghosts) take(hash uint64) bool {
	_, ok := g.seen[hash]
	delete(g.seen, hash)
	return ok
}
