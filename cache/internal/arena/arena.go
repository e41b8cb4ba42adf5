// Package arena hands out pages of memory that the garbage collector does not count, and takes them back. It knows nothing
// about their content.
package arena

import "runtime"

// Memory is divided into slabs of 512 pages, so that eight words say which of them are free. A caller gets runs of pages: one
// run if there is room in one piece, several otherwise. Freed pages are reused and never returned to the garbage collector,
// which would hold the same amount again in reserve.
const (
	PageSize   = 512 // bytes; on average half a page is wasted per body
	slabPages  = 512
	slabSize   = slabPages * PageSize
	regionSize = 16 * slabSize // taken from the system at a time
	mostSlabs  = 1<<31 - 1
)

// Arena hands out runs of pages. It is not safe for concurrent use.
type Arena struct {
	limit  int // slabs
	slabs  []slab
	used   int64              // pages
	bins   [slabPages + 1]int // by the longest free run: the first slab of a list; -1: none
	mask   bitmap             // bit n-1: bins[n] is not empty
	spare  []byte             // the rest of the last region
	pinned map[int]*pins      // by slab
}

type slab struct {
	mem        []byte // its capacity includes the later slabs of its region
	free       bitmap
	longest    int
	prev, next int // in its bin
}

// Run is a piece of a slab.
type Run struct{ slab, first, pages int }

// Size is the number of bytes.
func (r Run) Size() int { return r.pages * PageSize }

// Part returns the pages of a run that hold n bytes, starting at off.
func (r Run) Part(off, n int) Run {
	first, last := off/PageSize, (off+n-1)/PageSize
	return Run{r.slab, r.first + first, last - first + 1}
}

// Cut divides a run into the pages of the first n bytes and the others.
func (r Run) Cut(n int) (first, rest Run) {
	keep := Pages(n)
	return Run{r.slab, r.first, keep}, Run{r.slab, r.first + keep, r.pages - keep}
}

// Pages is the number of pages for n bytes.
func Pages(n int) int { return (n + PageSize - 1) / PageSize }

// New returns an Arena of at most maxBytes, rounded up to whole slabs.
func New(maxBytes int64) *Arena {
	a := &Arena{limit: int(min(maxBytes/slabSize+1, mostSlabs))}
	if maxBytes%slabSize == 0 {
		a.limit = int(min(maxBytes/slabSize, mostSlabs))
	}
	for i := range a.bins {
		a.bins[i] = -1
	}
	return a
}

// Used is the number of bytes in pages that are not free.
func (a *Arena) Used() int64 { return a.used * PageSize }

// Alloc returns a run of at most want pages and its memory. The run is shorter if no free run is that long; the memory is nil
// if all is taken. If possible, the run follows the last one that the body already has.
func (a *Arena) Alloc(want int, have []Run) (Run, []byte) {
	want = min(want, slabPages)
	if len(have) > 0 {
		if r, ok := a.behind(have[len(have)-1], want); ok {
			return r, a.take(r)
		}
	}
	n := a.mask.next(want-1) + 1
	if n == 0 && len(a.slabs) < a.limit && a.grow() {
		n = slabPages
	}
	if n == 0 {
		if n = a.mask.last() + 1; n == 0 {
			return Run{}, nil
		}
		want = n
	}
	i := a.bins[n]
	r := Run{i, a.slabs[i].free.run(want), want}
	return r, a.take(r)
}

// take marks a free run as used.
func (a *Arena) take(r Run) []byte {
	a.unbin(r.slab)
	a.slabs[r.slab].free.set(r.first, r.pages, false)
	a.bin(r.slab)
	a.used += int64(r.pages)
	from, to := r.first*PageSize, (r.first+r.pages)*PageSize
	return a.slabs[r.slab].mem[from:to:to]
}

// Free takes back a run or a part of one. Pinned pages become free when nobody pins them any longer.
func (a *Arena) Free(r Run) {
	if p := a.pinned[r.slab]; p != nil {
		p.free(a, r)
		return
	}
	a.free(r)
}

func (a *Arena) free(r Run) {
	if r.pages == 0 {
		return
	}
	a.unbin(r.slab)
	a.slabs[r.slab].free.set(r.first, r.pages, true)
	a.bin(r.slab)
	a.used -= int64(r.pages)
}

func (a *Arena) bin(i int) {
	s := &a.slabs[i]
	s.longest = s.free.longest()
	if s.longest == 0 {
		return
	}
	s.prev, s.next = -1, a.bins[s.longest]
	if s.next >= 0 {
		a.slabs[s.next].prev = i
	}
	a.bins[s.longest] = i
	a.mask.set(s.longest-1, 1, true)
}

func (a *Arena) unbin(i int) {
	s := &a.slabs[i]
	if s.longest == 0 {
		return
	}
	if s.next >= 0 {
		a.slabs[s.next].prev = s.prev
	}
	if s.prev >= 0 {
		a.slabs[s.prev].next = s.next
		return
	}
	if a.bins[s.longest] = s.next; s.next < 0 {
		a.mask.set(s.longest-1, 1, false)
	}
}

// grow adds a slab.
func (a *Arena) grow() bool {
	if len(a.spare) < slabSize {
		size := min((a.limit-len(a.slabs)), regionSize/slabSize) * slabSize
		region, free := mapRegion(size)
		if region == nil {
			a.limit = len(a.slabs)
			return false
		}
		if free != nil {
			// The readers of a page reach the arena through the body that the page is part of.
			runtime.AddCleanup(a, func(region []byte) { free(region) }, region)
		}
		a.spare = region
	}
	s := slab{mem: a.spare[:slabSize]}
	s.free.set(0, slabPages, true)
	a.slabs = append(a.slabs, s)
	a.spare = a.spare[slabSize:]
	a.bin(len(a.slabs) - 1)
	return true
}
