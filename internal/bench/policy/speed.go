package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/internal/bench/ratio"
)

// Each of two goroutines makes this many requests in a run.
const (
	batch       = 2000
	copiesBatch = 50
)

// timed measures the cost of a request: once if everything is kept, and once with the puts and evictions of a full cache.
// Entries without bodies show the cost of the choice. With bodies, the LRU copies each body to a slice, because it has to keep
// it somewhere.
func timed(seed uint64, n int, span time.Duration) {
	t := traces(seed, n)[0]
	fmt.Println("one request of Zipf 0.9, two goroutines, everything is kept: a get")
	print(t, batch, n, span/3, 1<<40, hollowBodies(t))
	fmt.Println("6,000 entries of 40,000, without bodies: a get, and a put of what is missing")
	print(t, batch, n, span/3, 6000*bareWeight, func(uint32) cache.Body { return nil })
	fmt.Println("1 GB of bodies of 0.2 to 4 MB: a get, and a put with a copy of what is missing")
	print(t, copiesBatch, 5000, span/3, gigabyte, realBodies(t))
}

// bareWeight is about what a Memory counts for an Entry without a body.
const bareWeight = 540

func hollowBodies(t trace) func(object uint32) cache.Body {
	return func(o uint32) cache.Body { return hollow(t.sizes[o]) }
}

func realBodies(t trace) func(object uint32) cache.Body {
	source := make([]byte, 4_000_000)
	return func(o uint32) cache.Body { return cache.Bytes(source[:t.sizes[o]]) }
}

func print(t trace, batch, warm int, span time.Duration, capacity int64, body func(object uint32) cache.Body) {
	keys := t.keys()
	l, m := newLRU(capacity), cache.NewMemory(capacity)
	var mu sync.Mutex
	ofLRU := func(o uint32) {
		mu.Lock()
		found := l.get(keys[o])
		mu.Unlock()
		if found {
			return
		}
		size, bytes := int64(bareWeight), []byte(nil)
		switch b := body(o).(type) {
		case hollow:
			size = b.Size()
		case io.ReaderAt:
			size = t.sizes[o]
			bytes = make([]byte, size)
			b.ReadAt(bytes, 0)
		}
		mu.Lock()
		l.put(keys[o], size, bytes)
		mu.Unlock()
	}
	ofMemory := func(o uint32) {
		if e, _ := m.Get(context.Background(), keys[o]); e == nil {
			m.Put(context.Background(), keys[o], entry(body(o)))
		}
	}
	for _, o := range t.requests[:min(len(t.requests), warm)] {
		ofLRU(o)
		ofMemory(o)
	}
	results := ratio.Compare(15, span/32, ratio.Contender{Name: "LRU", Run: t.walk(batch, ofLRU)}, ratio.Contender{Name: "Memory", Run: t.walk(batch, ofMemory)})
	for i := range results {
		results[i].Median /= time.Duration(2 * batch)
		results[i].Min /= time.Duration(2 * batch)
	}
	ratio.Print(os.Stdout, results, "LRU")
}

// walk lets two goroutines go through the trace, from different places.
func (t trace) walk(batch int, one func(object uint32)) func() {
	var at atomic.Int64
	return func() {
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				from := int(at.Add(int64(batch))) % (len(t.requests) - batch)
				for _, o := range t.requests[from : from+batch] {
					one(o)
				}
			})
		}
		wg.Wait()
	}
}
