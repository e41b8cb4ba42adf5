package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/hammer"
)

// report prints the medians of the rounds, and how many times the CPU of the first server the others took.
func report(servers []hammer.Server, figures [][]figure) {
	fmt.Printf("%-10s %7s %10s %26s %26s\n", "", "cores", "KB/viewer", "playlist p50/p99 ms", "segment p50/p99 ms")
	ours := cores(figures[0])
	for i, server := range servers {
		var playlists, segments []time.Duration
		var memory int64
		for _, f := range figures[i] {
			playlists, segments = append(playlists, f.playlists...), append(segments, f.segments...)
			memory = max(memory, f.memory)
		}
		fmt.Printf("%-10s %7.3f %10.1f %15.2f %10.2f %15.2f %10.2f", server.Name, cores(figures[i]), float64(memory)/1024,
			part(playlists, 50), part(playlists, 99), part(segments, 50), part(segments, 99))
		if i > 0 {
			fmt.Printf("   %s: %.2fx CPU", servers[0].Name, ours/cores(figures[i]))
		}
		fmt.Println()
	}
}

func cores(rounds []figure) float64 {
	var all []float64
	for _, f := range rounds {
		all = append(all, f.cores)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// part returns a percentile in milliseconds.
func part(all []time.Duration, percent int) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return float64(all[(len(all)-1)*percent/100]) / float64(time.Millisecond)
}
