package arena

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// The arena is tested from inside, because a page that is handed out twice would show from outside only by chance.
func FuzzArena(f *testing.F) {
	f.Add(uint64(1), 40)
	f.Add(uint64(2), 3)
	f.Add(uint64(3), 1)
	f.Fuzz(func(t *testing.T, seed uint64, slabs int) {
		slabs = max(min(slabs, 64), 1)
		a := New(int64(slabs) * slabSize)
		m := model{t: t, a: a, rng: rand.New(rand.NewPCG(seed, 0)), owned: map[[2]int]bool{}, pins: map[[2]int]int{}, late: map[[2]int]bool{}}
		for range 500 {
			switch m.rng.IntN(6) {
			case 0, 1, 2:
				m.alloc(slabs)
			case 3, 4:
				m.free()
			default:
				m.pin()
			}
			require.EqualValues(t, len(m.owned)+len(m.late), a.used)
		}
		for len(m.pinned) > 0 {
			m.unpin()
		}
		for _, r := range m.runs {
			a.Free(r)
		}
		require.Zero(t, a.Used())
		require.Empty(t, a.pinned)
		for range a.limit {
			r, _ := a.Alloc(slabPages, nil)
			require.Equal(t, slabPages, r.pages, "free pages are joined again")
		}
	})
}

// model knows the owner of every page.
type model struct {
	t      *testing.T
	a      *Arena
	rng    *rand.Rand
	runs   []Run
	pinned []Run
	owned  map[[2]int]bool
	pins   map[[2]int]int
	late   map[[2]int]bool // freed, still pinned
}

func pagesOf(r Run) (all [][2]int) {
	for p := range r.pages {
		all = append(all, [2]int{r.slab, r.first + p})
	}
	return all
}

func (m *model) alloc(slabs int) {
	want := m.rng.IntN(300) + 1
	r, mem := m.a.Alloc(want, m.runs)
	if mem == nil {
		require.EqualValues(m.t, slabs*slabPages, m.a.used, "refused although there is room")
		return
	}
	require.Len(m.t, mem, r.Size())
	require.LessOrEqual(m.t, r.pages, want)
	for _, at := range pagesOf(r) {
		require.False(m.t, m.owned[at])
		require.False(m.t, m.late[at], "a pinned page was handed out")
		m.owned[at] = true
	}
	m.runs = append(m.runs, r)
}

func (m *model) free() {
	if len(m.runs) == 0 {
		return
	}
	i := m.rng.IntN(len(m.runs))
	r := m.runs[i]
	if keep := m.rng.IntN(r.pages + 1); keep > 0 && m.rng.IntN(2) == 0 {
		m.runs[i], r = r.Cut(keep * PageSize)
	} else {
		m.runs[i] = m.runs[len(m.runs)-1]
		m.runs = m.runs[:len(m.runs)-1]
	}
	m.a.Free(r)
	for _, at := range pagesOf(r) {
		delete(m.owned, at)
		if m.pins[at] > 0 {
			m.late[at] = true
		}
	}
}

func (m *model) pin() {
	if len(m.runs) == 0 || len(m.pinned) > 8 {
		m.unpin()
		return
	}
	r := m.runs[m.rng.IntN(len(m.runs))]
	off := m.rng.IntN(r.Size())
	part := r.Part(off, 1+m.rng.IntN(r.Size()-off))
	m.a.Pin(part)
	m.pinned = append(m.pinned, part)
	for _, at := range pagesOf(part) {
		m.pins[at]++
	}
}

func (m *model) unpin() {
	if len(m.pinned) == 0 {
		return
	}
	i := m.rng.IntN(len(m.pinned))
	r := m.pinned[i]
	m.pinned = append(m.pinned[:i], m.pinned[i+1:]...)
	m.a.Unpin(r)
	for _, at := range pagesOf(r) {
		if m.pins[at]--; m.pins[at] == 0 {
			delete(m.late, at)
		}
	}
}

func TestBoundsAreRoundedUpToSlabs(t *testing.T) {
	for bytes, slabs := range map[int64]int{0: 0, 1: 1, slabSize: 1, slabSize + 1: 2, math.MaxInt64: mostSlabs} {
		require.Equal(t, slabs, New(bytes).limit, bytes)
	}
}
