package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/internal/bench/ratio"
)

// batch is how many requests each of two goroutines makes in a run.
const batch = 2000

// timed tells what a request costs: with everything kept, and with the puts and evictions of a cache that is full. An LRU
// keeps no bodies: it has a map and a list, and the Memory pages to find and to clear, too.
func timed(seed uint64, n int, span time.Duration) {
	t := traces(seed, n)[0]
	fmt.Println("one request of Zipf 0.9, two goroutines, everything is kept: a get")
	print(t, span/2, 1<<40)
	fmt.Println("the same at 8 GB: a get, and a put of 0.2 to 4 MB if it is missing")
	print(t, span/2, capacities[1])
}

func print(t trace, span time.Duration, capacity int64) {
	keys := t.keys()
	l, m := newLRU(capacity), cache.NewMemory(capacity)
	var mu sync.Mutex
	ofLRU := func(o uint32) {
		mu.Lock()
		defer mu.Unlock()
		if !l.get(keys[o]) {
			l.put(keys[o], t.sizes[o])
		}
	}
	ofMemory := func(o uint32) {
		if e, _ := m.Get(context.Background(), keys[o]); e == nil {
			m.Put(context.Background(), keys[o], hollow(t.sizes[o]).entry())
		}
	}
	for _, o := range t.requests {
		ofLRU(o)
		ofMemory(o)
	}
	results := ratio.Compare(15, span/32, ratio.Contender{Name: "LRU", Run: t.walk(ofLRU)}, ratio.Contender{Name: "Memory", Run: t.walk(ofMemory)})
	for i := range results {
		results[i].Median /= 2 * batch
		results[i].Min /= 2 * batch
	}
	ratio.Print(os.Stdout, results, "LRU")
}

// walk lets two goroutines go through the trace, each from another place.
func (t trace) walk(one func(object uint32)) func() {
	var at atomic.Int64
	return func() {
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				from := int(at.Add(batch)) % (len(t.requests) - batch)
				for _, o := range t.requests[from : from+batch] {
					one(o)
				}
			})
		}
		wg.Wait()
	}
}
