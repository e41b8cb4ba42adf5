package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
)

// trace is a sequence of requests for objects. Objects are numbers.
type trace struct {
	name     string
	requests []uint32
	sizes    []int64 // of objects
	names    []string
	edges    []edge // the versions of live playlists, in the order of their time
}

// edge is a version of a live playlist, which is fetched before the request with this number.
type edge struct {
	before, channel int
	window          []uint32
}

// object adds an object of 0.2 to 4 MB. Sizes are spread evenly on a logarithmic scale.
func (t *trace) object(rng *rand.Rand, name string, numbers ...any) uint32 {
	t.names = append(t.names, fmt.Sprintf(name, numbers...))
	t.sizes = append(t.sizes, int64(200_000*math.Pow(20, rng.Float64())))
	return uint32(len(t.sizes) - 1)
}

func (t *trace) ask(object uint32) { t.requests = append(t.requests, object) }

// source adds one request to a trace.
type source func(*trace)

func traces(seed uint64, n int) []trace {
	build := func(name string, sources func(*rand.Rand) []weighted) trace {
		rng := rand.New(rand.NewPCG(seed, 0))
		t := trace{name: name}
		all := sources(rng)
		for len(t.requests) < n {
			at := rng.Float64()
			for _, s := range all {
				if at -= s.share; at < 0 {
					s.next(&t)
					break
				}
			}
		}
		return t
	}
	return []trace{
		build("Zipf 0.9", func(r *rand.Rand) []weighted { return []weighted{{1, popular(r, 40_000)}} }),
		build("Zipf, 40 % one-hit", func(r *rand.Rand) []weighted { return []weighted{{.6, popular(r, 40_000)}, {.4, scan(r)}} }),
		build("VOD sessions", func(r *rand.Rand) []weighted { return []weighted{{1, films(r, 1000, 400)}} }),
		build("live windows", func(r *rand.Rand) []weighted { return []weighted{{1, channels(r, 300)}} }),
		build("mixed", func(r *rand.Rand) []weighted {
			return []weighted{{.4, channels(r, 300)}, {.4, films(r, 1000, 200)}, {.2, scan(r)}}
		}),
		build("series (not tuned on)", func(r *rand.Rand) []weighted { return []weighted{{.9, series(r, 400, 300)}, {.1, scan(r)}} }),
		build("event (not tuned on)", func(r *rand.Rand) []weighted { return []weighted{{.7, event(r, 400)}, {.3, series(r, 400, 100)}} }),
	}
}

type weighted struct {
	share float64
	next  source
}

// zipf draws ranks below n, with the exponent 0.9 that many studies have found in requests to web caches.
func zipf(rng *rand.Rand, n int) func() int {
	sums := make([]float64, n)
	sum := 0.0
	for i := range sums {
		sum += math.Pow(float64(i+1), -0.9)
		sums[i] = sum
	}
	return func() int { return min(sort.SearchFloat64s(sums, rng.Float64()*sum), n-1) }
}

// popular objects are requested again and again. They are numbered, but not requested in that order.
func popular(rng *rand.Rand, n int) source {
	rank := zipf(rng, n)
	objects := map[int]uint32{}
	return func(t *trace) {
		i := rank()
		o, ok := objects[i]
		if !ok {
			o = t.object(rng, "clip%d.ts", len(objects))
			objects[i] = o
		}
		t.ask(o)
	}
}

// scan requests everything once.
func scan(rng *rand.Rand) source {
	n := 0
	return func(t *trace) {
		n++
		t.ask(t.object(rng, "old/%d.ts", n))
	}
}
