package arena

import "slices"

// pins are the pages of a slab that must not change, even after they were given back.
type pins struct {
	runs  []Run
	freed bitmap // pages given back while they were pinned
}

// Pin keeps the pages of a run, or of a part of one, from being reused before Unpin, even if they are given back. The same
// pages may be pinned several times.
func (a *Arena) Pin(r Run) {
	if a.pinned == nil {
		a.pinned = map[int]*pins{}
	}
	p := a.pinned[r.slab]
	if p == nil {
		p = &pins{}
		a.pinned[r.slab] = p
	}
	p.runs = append(p.runs, r)
}

// Unpin ends one Pin of the run.
func (a *Arena) Unpin(r Run) {
	p := a.pinned[r.slab]
	i := slices.Index(p.runs, r)
	p.runs = slices.Delete(p.runs, i, i+1)
	if len(p.runs) == 0 {
		delete(a.pinned, r.slab)
	}
	for first := p.freed.next(r.first); first >= 0 && first < r.first+r.pages; {
		end := min(p.freed.gap(first), r.first+r.pages)
		p.freed.set(first, end-first, false)
		p.free(a, Run{r.slab, first, end - first})
		first = p.freed.next(end)
	}
}

// free gives back the pages of r that are not pinned, and remembers the others.
func (p *pins) free(a *Arena, r Run) {
	if r.pages == 0 {
		return
	}
	var held bitmap
	for _, pin := range p.runs {
		if from, to := max(pin.first, r.first), min(pin.first+pin.pages, r.first+r.pages); from < to {
			held.set(from, to-from, true)
		}
	}
	for at, last := r.first, r.first+r.pages; at < last; {
		pinned := held.next(at)
		if pinned < 0 {
			pinned = last
		}
		a.free(Run{r.slab, at, pinned - at})
		if pinned == last {
			break
		}
		at = held.gap(pinned)
		p.freed.set(pinned, at-pinned, true)
	}
}
