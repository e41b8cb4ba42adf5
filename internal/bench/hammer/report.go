package hammer

import (
	"fmt"
	"slices"
)

// Figures are the results of one server, by round.
type Figures struct {
	name  string
	rates []float64 // answers per second
	costs []float64 // CPU microseconds per answer
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// Report prints all figures, and compares the first server with the others. Above 1, the first is the better one.
func Report(all []Figures) {
	for i, f := range all {
		fmt.Printf("  %-13s %9.0f req/s (%.0f to %.0f) %9.1f us (%.1f to %.1f)", f.name,
			median(f.rates), slices.Min(f.rates), slices.Max(f.rates), median(f.costs), slices.Min(f.costs), slices.Max(f.costs))
		if i > 0 {
			fmt.Printf("  %s: %.2fx rate, %.2fx cost", all[0].name, median(all[0].rates)/median(f.rates), median(f.costs)/median(all[0].costs))
		}
		fmt.Println()
	}
}
