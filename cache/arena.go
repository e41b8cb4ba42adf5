package cache

import (
	"math/bits"
	"runtime"
)

// The memory of bodies is cut into slabs of 64 pages, so that one word says which of them are free. A body takes runs of
// pages: one for up to a slab where there is room in one piece, several where there is not. What is freed is used again
// and never given to the garbage collector, which would hold as much again in reserve.
const (
	pageSize   = 4 << 10
	slabPages  = 64
	slabSize   = slabPages * pageSize
	regionSize = 16 * slabSize // what is asked of the system at a time
)

// arena hands out runs of pages. It is not safe for concurrent use.
type arena struct {
	limit int // slabs
	slabs []slab
	used  int64              // pages
	bins  [slabPages + 1]int // by the longest free run: the first slab of a list, -1: none
	mask  uint64             // bit n-1: bins[n] is not empty
	spare []byte             // the rest of the last region
}

type slab struct {
	mem        []byte
	free       uint64 // bit per page
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

// alloc returns a run of at most want pages, fewer if there is none that long; nil if all is taken.
func (a *arena) alloc(want int) (run, []byte) {
	want = min(want, slabPages)
	fit := a.mask >> (want - 1) << (want - 1)
	if fit == 0 && len(a.slabs) < a.limit && a.grow() {
		fit = 1 << (slabPages - 1)
	}
	n := want
	switch {
	case fit != 0:
		n = bits.TrailingZeros64(fit) + 1
	case a.mask != 0:
		n = bits.Len64(a.mask)
		want = n
	default:
		return run{}, nil
	}
	i := a.bins[n]
	s := &a.slabs[i]
	r := run{i, firstRun(s.free, want), want}
	a.unbin(i)
	s.free &^= r.bits()
	a.bin(i)
	a.used += int64(want)
	return r, s.mem[r.first*pageSize : (r.first+want)*pageSize : (r.first+want)*pageSize]
}

// release frees a run, or a part of one.
func (a *arena) release(r run) {
	if r.pages == 0 {
		return
	}
	a.unbin(r.slab)
	a.slabs[r.slab].free |= r.bits()
	a.bin(r.slab)
	a.used -= int64(r.pages)
}

func (r run) bits() uint64 { return (1<<r.pages - 1) << r.first }

// firstRun is where the first run of n set bits begins; there is one.
func firstRun(free uint64, n int) int {
	for n > 1 {
		half := n / 2
		free &= free >> half
		n -= half
	}
	return bits.TrailingZeros64(free)
}

func longestRun(free uint64) (n int) {
	for ; free != 0; n++ {
		free &= free << 1
	}
	return n
}

func (a *arena) bin(i int) {
	s := &a.slabs[i]
	s.longest = longestRun(s.free)
	if s.longest == 0 {
		return
	}
	s.prev, s.next = -1, a.bins[s.longest]
	if s.next >= 0 {
		a.slabs[s.next].prev = i
	}
	a.bins[s.longest] = i
	a.mask |= 1 << (s.longest - 1)
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
		a.mask &^= 1 << (s.longest - 1)
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
	a.slabs = append(a.slabs, slab{mem: a.spare[:slabSize:slabSize], free: ^uint64(0)})
	a.spare = a.spare[slabSize:]
	a.bin(len(a.slabs) - 1)
	return true
}
