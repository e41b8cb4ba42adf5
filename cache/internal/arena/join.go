package arena

// Bytes in one piece need only one write.

// behind is the run of this many pages that follows r, if it is free.
func (a *Arena) behind(r Run, pages int) (Run, bool) {
	next := Run{r.slab, r.first + r.pages, pages}
	if next.first == slabPages && a.goesOn(r.slab) && r.slab+1 < len(a.slabs) {
		next.slab, next.first = r.slab+1, 0
	}
	end := next.first + pages
	if end > slabPages || a.slabs[next.slab].free.gap(next.first) < end {
		return Run{}, false
	}
	return next, true
}

// goesOn reports whether the next slab is the next piece of the same region.
func (a *Arena) goesOn(slab int) bool { return cap(a.slabs[slab].mem) > slabSize }

// follows reports whether the memory of s begins where that of r ends.
func (a *Arena) follows(r, s Run) bool {
	if r.slab == s.slab {
		return r.first+r.pages == s.first
	}
	return s.slab == r.slab+1 && s.first == 0 && r.first+r.pages == slabPages && a.goesOn(r.slab)
}

// Join merges adjacent chunks, in place. Chunk i is the beginning of run i.
func (a *Arena) Join(chunks [][]byte, runs []Run) [][]byte {
	if len(chunks) < 2 || len(chunks) != len(runs) {
		return chunks
	}
	joined, first := chunks[:1], runs[0]
	for i, c := range chunks[1:] {
		r, last := runs[i], &joined[len(joined)-1]
		if len(chunks[i]) < r.Size() || !a.follows(r, runs[i+1]) {
			joined, first = append(joined, c), runs[i+1]
			continue
		}
		n := len(*last) + len(c)
		*last = a.slabs[first.slab].mem[first.first*PageSize:][:n:n]
	}
	clear(chunks[len(joined):])
	return joined
}
