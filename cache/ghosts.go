package cache

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
