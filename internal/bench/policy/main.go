// Command policy measures how well cache.Memory chooses what it keeps. Synthetic traces go through it. Its hit rate is printed
// beside that of an algorithm that knows the future (Belady), and that of LRU. Sizes are real and bodies hollow: they take room
// in the Memory, but their pages are never touched. Nothing was tuned on the last two traces.
//
//	go run ./policy [-requests 600000] [-only mixed] [-seed 1] [-time 10s]
//
// Then it measures the cost of a request at two goroutines, compared with an LRU under a mutex.
package main

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
)

const gigabyte = 1 << 30

var capacities = []int64{2 * gigabyte, 8 * gigabyte, 32 * gigabyte}

func main() {
	requests := flag.Int("requests", 600_000, "length of a trace")
	only := flag.String("only", "", "run the traces whose name contains this")
	seed := flag.Uint64("seed", 1, "of the traces")
	speed := flag.Duration("time", 10*time.Second, "what the measurement of time may take; 0: leave it out")
	flag.Parse()

	fmt.Printf("%-24s %8s %9s %8s %8s   %s\n", "hits of all requests", "cache", "Belady", "LRU", "Memory", "of Belady's: LRU  Memory")
	for _, t := range traces(*seed, *requests) {
		if strings.Contains(t.name, *only) {
			for _, r := range judge(t) {
				fmt.Println(r)
			}
		}
	}
	if *speed > 0 {
		timed(*seed, *requests, *speed)
	}
}

type result struct {
	trace               string
	capacity            int64
	requests            int
	belady, lru, memory int
}

func (r result) String() string {
	share := func(hits int) float64 { return float64(hits) / float64(r.requests) }
	of := func(hits int) float64 { return float64(hits) / float64(r.belady) }
	line := fmt.Sprintf("%-24s %5d GB %9.3f %8.3f %8.3f   %16.3f %7.3f", r.trace, r.capacity/gigabyte, share(r.belady), share(r.lru), share(r.memory),
		of(r.lru), of(r.memory))
	if r.memory < r.lru {
		line += "  below LRU"
	}
	return line
}

// judge runs a trace at all capacities, as many at a time as there are processors.
func judge(t trace) []result {
	results := make([]result, len(capacities))
	var wg sync.WaitGroup
	turn := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, c := range capacities {
		wg.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			results[i] = result{t.name, c, len(t.requests), belady(t, c), lruHits(t, c), memoryHits(t, c)}
		})
	}
	wg.Wait()
	return results
}
