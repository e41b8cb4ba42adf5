package proof

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEachNumberCountsOnceThroughToTheHighest(t *testing.T) {
	t.Parallel()
	for _, from := range []uint64{0, 1, windowBits - 1, windowBits, 1 << 40, math.MaxUint64 - 3*windowBits, math.MaxUint64 - 1000} {
		t.Run(fmt.Sprint(from), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(from, 11))
			w, seen, top := new(window), map[uint64]bool{}, uint64(0)
			try := func(number uint64) {
				want := !seen[number] && (number > top || top-number < windowBits)
				require.Equal(t, want, w.first(number), "%d after %d", number, top)
				seen[number], top = true, max(top, number)
			}
			try(from)
			for range 2_000 {
				jump := rng.Uint64N([]uint64{2, 100, 2 * windowBits}[rng.IntN(3)])
				if rng.IntN(2) == 0 {
					try(top - min(top, jump))
				} else {
					try(top + min(math.MaxUint64-top, jump))
				}
			}
			try(math.MaxUint64)
			try(math.MaxUint64)
			try(math.MaxUint64 - 1)
		})
	}
}
