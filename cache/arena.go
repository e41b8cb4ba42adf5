package cache

import "runtime"

// The memory of bodies is cut into slabs of 512 pages, so that eight words say which of them are free. A body takes runs of
// pages: one for up to a slab where there is room in one piece, several where there is not. What is freed is used again
// and never given to the garbage collector, which would hold as much again in reserve.
const (
	pageSize   = 512 // half of one is lost with each body
	slabPages  = 512
	slabSize   = slabPages * pageSize
	regionSize = 16 * slabSize // what is asked of the system at a time
)

// arena hands out runs of pages. It is not safe for concurrent use.
type arena struct {
	limit int // slabs
	slabs []slab
	used  int64              // pages
	bins  [slabPages + 1]int // by the longest free run: the first slab of a list, -1: none
	mask  pageSet            // bit n-1: bins[n] is not empty
	spare []byte             // the rest of the last region
}

type slab struct {
	mem        []byte // with the slabs behind it in its region as capacity
	free       pageSet
	longest    int
	prev, next int // in its bin
}

// run is a piece of a slab.
type run struct {
	slab, first, pages int
}

func newArena(maxBytes int64) *arena {
	a := &arena{limit: int((maxBytes + slabSize - 1) / slabSize)}
	for i := range a.bins {
		a.bins[i] = -1
	}
	return a
}

// alloc returns a run of at most want pages, fewer if there is none that long; nil if all is taken. It lies behind the last
// of those that the body has already, if that can be.
func (a *arena) alloc(want int, have []run) (run, []byte) {
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
			return run{}, nil
		}
		want = n
	}
	i := a.bins[n]
	r := run{i, a.slabs[i].free.run(want), want}
	return r, a.take(r)
}

// take makes a free run one that is not.
func (a *arena) take(r run) []byte {
	a.unbin(r.slab)
	a.slabs[r.slab].free.set(r.first, r.pages, false)
	a.bin(r.slab)
	a.used += int64(r.pages)
	from, to := r.first*pageSize, (r.first+r.pages)*pageSize
	return a.slabs[r.slab].mem[from:to:to]
}

// release frees a run, or a part of one.
func (a *arena) release(r run) {
	if r.pages == 0 {
		return
	}
	a.unbin(r.slab)
	a.slabs[r.slab].free.set(r.first, r.pages, true)
	a.bin(r.slab)
	a.used -= int64(r.pages)
}

func (a *arena) bin(i int) {
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

func (a *arena) unbin(i int) {
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
func (a *arena) grow() bool {
	if len(a.spare) < slabSize {
		size := min((a.limit-len(a.slabs))*slabSize, regionSize)
		region, free := mapRegion(size)
		if region == nil {
			a.limit = len(a.slabs)
			return false
		}
		if free != nil {
			// Whoever reads a page holds the arena, by way of the body that the page is part of.
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
