package cache

// What lies in one piece goes out with one write.

// behind is the run of so many pages that follows r, if that is free.
func (a *arena) behind(r run, pages int) (run, bool) {
	next := run{r.slab, r.first + r.pages, pages}
	if next.first == slabPages && a.goesOn(r.slab) && r.slab+1 < len(a.slabs) {
		next.slab, next.first = r.slab+1, 0
	}
	end := next.first + pages
	if end > slabPages || a.slabs[next.slab].free.gap(next.first) < end {
		return run{}, false
	}
	return next, true
}

// goesOn tells whether the slab after this one is the next piece of the same region.
func (a *arena) goesOn(slab int) bool { return cap(a.slabs[slab].mem) > slabSize }

// follows tells whether the memory of s begins where that of r ends.
func (a *arena) follows(r, s run) bool {
	if r.slab == s.slab {
		return r.first+r.pages == s.first
	}
	return s.slab == r.slab+1 && s.first == 0 && r.first+r.pages == slabPages && a.goesOn(r.slab)
}

// join makes one chunk of those that lie one behind the other. They are all that the pages have.
func (p *pages) join(chunks [][]byte) [][]byte {
	if p.mem == nil || p.heap || len(chunks) < 2 {
		return chunks
	}
	p.mem.mu.Lock()
	defer p.mem.mu.Unlock()
	if len(chunks) != len(p.runs) {
		return chunks
	}
	a, joined, first := p.mem.arena, chunks[:1], p.runs[0]
	for i, c := range chunks[1:] {
		r, last := p.runs[i], &joined[len(joined)-1]
		if len(chunks[i]) < r.pages*pageSize || !a.follows(r, p.runs[i+1]) {
			joined, first = append(joined, c), p.runs[i+1]
			continue
		}
		n := len(*last) + len(c)
		*last = a.slabs[first.slab].mem[first.first*pageSize:][:n:n]
	}
	clear(chunks[len(joined):])
	return joined
}
