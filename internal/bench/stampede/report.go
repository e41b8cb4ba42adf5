package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/hammer"
)

// summary has the medians of rounds.
type summary struct {
	fetches                              int // the most
	first50, first99, behind50, behind99 time.Duration
	cpu                                  time.Duration
}

func summarize(rounds []figure) (s summary) {
	at := func(of func(figure) time.Duration) time.Duration {
		var all []time.Duration
		for _, f := range rounds {
			all = append(all, of(f))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	for _, f := range rounds {
		s.fetches = max(s.fetches, f.fetches)
	}
	part := func(sorted []time.Duration, percent int) time.Duration { return sorted[(len(sorted)-1)*percent/100] }
	s.first50 = at(func(f figure) time.Duration { return part(f.first, 50) })
	s.first99 = at(func(f figure) time.Duration { return part(f.first, 99) })
	s.behind50 = at(func(f figure) time.Duration { return part(f.behind, 50) })
	s.behind99 = at(func(f figure) time.Duration { return part(f.behind, 99) })
	s.cpu = at(func(f figure) time.Duration { return f.cpu })
	return s
}

// report prints the medians of each server, and their ratios to those of the first.
func report(servers []hammer.Server, figures [][]figure) {
	fmt.Printf("%-10s %8s %24s %24s %9s\n", "", "fetches", "first byte p50/p99 ms", "behind p50/p99 ms", "CPU s")
	ours := summarize(figures[0])
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	for i, server := range servers {
		s := summarize(figures[i])
		fmt.Printf("%-10s %8d %13.1f %10.1f %13.1f %10.1f %9.2f", server.Name, s.fetches, ms(s.first50), ms(s.first99), ms(s.behind50), ms(s.behind99), s.cpu.Seconds())
		if i > 0 {
			fmt.Printf("   %s: %.2fx first byte, %.2fx behind (p99), %.2fx CPU", servers[0].Name,
				float64(ours.first99)/float64(s.first99), float64(ours.behind99)/float64(s.behind99), float64(ours.cpu)/float64(s.cpu))
		}
		fmt.Println()
	}
}
