package cache

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// The arena is tested from inside: what it must never do, hand out a page twice, shows from outside only by chance.
func FuzzArena(f *testing.F) {
	f.Add(uint64(1), 40)
	f.Add(uint64(2), 3)
	f.Fuzz(func(t *testing.T, seed uint64, slabs int) {
		slabs = max(min(slabs, 64), 1)
		a := newArena(int64(slabs) * slabSize)
		rng := rand.New(rand.NewPCG(seed, 0))
		taken := map[[2]int]bool{}
		var runs []run
		for range 500 {
			if rng.IntN(3) > 0 || len(runs) == 0 {
				want := rng.IntN(300) + 1
				r, mem := a.alloc(want, runs)
				if mem == nil {
					require.EqualValues(t, slabs*slabPages, a.used, "refused although there is room")
					continue
				}
				require.Len(t, mem, r.pages*pageSize)
				require.LessOrEqual(t, r.pages, want)
				for p := range r.pages {
					at := [2]int{r.slab, r.first + p}
					require.False(t, taken[at])
					taken[at] = true
				}
				runs = append(runs, r)
				continue
			}
			i := rng.IntN(len(runs))
			r := runs[i]
			if keep := rng.IntN(r.pages + 1); keep > 0 && rng.IntN(2) == 0 {
				runs[i].pages = keep
				r.first, r.pages = r.first+keep, r.pages-keep
			} else {
				runs[i] = runs[len(runs)-1]
				runs = runs[:len(runs)-1]
			}
			a.release(r)
			for p := range r.pages {
				delete(taken, [2]int{r.slab, r.first + p})
			}
			require.EqualValues(t, len(taken), a.used)
		}
		for _, r := range runs {
			a.release(r)
		}
		require.Zero(t, a.used)
		for range a.limit {
			r, _ := a.alloc(slabPages, nil)
			require.Equal(t, slabPages, r.pages, "free pages are joined again")
		}
	})
}
