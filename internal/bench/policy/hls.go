package main

import "math/rand/v2"

// films are watched from the beginning, and most of them are not watched to their end.
func films(rng *rand.Rand, n, viewers int) source {
	const segments = 300
	rank := zipf(rng, n)
	objects := map[int][]uint32{}
	type session struct{ film, at, until int }
	var watching []session
	return func(t *trace) {
		if len(watching) < viewers {
			until := segments
			if rng.IntN(3) > 0 {
				until = 1 + rng.IntN(segments)
			}
			watching = append(watching, session{rank(), 0, until})
		}
		i := rng.IntN(len(watching))
		s := &watching[i]
		if s.at == len(objects[s.film]) {
			objects[s.film] = append(objects[s.film], t.object(rng, "film%d/%d.ts", s.film, s.at))
		}
		t.ask(objects[s.film][s.at])
		if s.at++; s.at == s.until {
			watching[i] = watching[len(watching)-1]
			watching = watching[:len(watching)-1]
		}
	}
}

// channels are watched near their live edge. A viewer that comes back finds newer segments.
func channels(rng *rand.Rand, n int) source {
	const (
		window   = 6
		duration = 20_000 // requests of this source during one segment
	)
	rank := zipf(rng, n)
	live := make([][]uint32, n)
	due := make([]int, n) // when the next segment of each is due
	number := make([]int, n)
	for i := range due {
		due[i] = rng.IntN(duration)
	}
	now := 0
	return func(t *trace) {
		now++
		c := rank()
		for live[c] == nil || due[c] <= now {
			number[c]++
			live[c] = append(live[c], t.object(rng, "live%d/%d.ts", c, number[c]))
			if len(live[c]) > window {
				live[c] = append([]uint32(nil), live[c][1:]...)
			}
			if due[c] <= now {
				due[c] += duration
			}
			t.edges = append(t.edges, edge{len(t.requests), c, append([]uint32(nil), live[c]...)})
		}
		// Most play the third segment from the end, as the draft demands. Some are late, and some have just come.
		back := min(2+rng.IntN(2)-rng.IntN(2), len(live[c])-1)
		if rng.IntN(10) == 0 {
			back = rng.IntN(len(live[c]))
		}
		t.ask(live[c][len(live[c])-1-back])
	}
}
