package main

import "math/rand/v2"

// The traces of this file check what was tuned on the others: no constant of the cache was chosen by them, and none may be.

// series are watched episode by episode. When the next one comes out, many watch it first. Others begin with the first of the
// season, go on where they stopped, or leave in the middle.
func series(rng *rand.Rand, n, viewers int) source {
	const (
		episodes = 10  // in a season
		segments = 150 // in an episode
		every    = 4_000
	)
	rank := zipf(rng, n)
	type episode struct{ series, number int }
	type session struct {
		episode
		at, until int
	}
	objects := map[episode][]uint32{}
	out := make([]int, n) // how many episodes are out
	for i := range out {
		out[i] = 1 + rng.IntN(3*episodes)
	}
	begin := func(e episode) session {
		s := session{e, 0, segments}
		if rng.IntN(5) == 0 {
			s.at = rng.IntN(segments) // the viewer stopped there on another evening
		}
		if rng.IntN(4) == 0 {
			s.until = s.at + 1 + rng.IntN(segments-s.at)
		}
		return s
	}
	var watching []session
	now := 0
	return func(t *trace) {
		if now++; now%every == 0 {
			out[rank()]++
		}
		for len(watching) < viewers {
			e := episode{series: rank()}
			switch last := out[e.series] - 1; rng.IntN(3) {
			case 0:
				e.number = last
			case 1:
				e.number = last / episodes * episodes
			default:
				e.number = rng.IntN(last + 1)
			}
			watching = append(watching, begin(e))
		}
		i := rng.IntN(len(watching))
		s := &watching[i]
		for len(objects[s.episode]) <= s.at {
			name := "series%d/season%d/episode%d/%d.m4s"
			o := t.object(rng, name, s.series, 1+s.number/episodes, 1+s.number%episodes, len(objects[s.episode]))
			objects[s.episode] = append(objects[s.episode], o)
		}
		t.ask(objects[s.episode][s.at])
		if s.at++; s.at < s.until {
			return
		}
		if s.until == segments && s.number+1 < out[s.series] && rng.IntN(10) < 7 {
			*s = begin(episode{s.series, s.number + 1})
			return
		}
		watching[i] = watching[len(watching)-1]
		watching = watching[:len(watching)-1]
	}
}

// event is live for the whole trace, and its playlists name all segments from the beginning. Of the viewers
// who come late, half begin there, and some at a scene that others talk about.
func event(rng *rand.Rand, viewers int) source {
	const stay = 120 // segments, on average
	shares := [...]int{5, 3, 2}
	type viewer struct{ variant, at int }
	var (
		live   [len(shares)][]uint32
		all    []viewer
		next   int
		scenes []int
	)
	grow := func(t *trace) {
		for v := range live {
			live[v] = append(live[v], t.object(rng, "event/%d/%d.ts", v, len(live[v])))
			t.edges = append(t.edges, edge{len(t.requests), 1_000_000 + v, live[v][:len(live[v]):len(live[v])]})
		}
		if rng.IntN(60) == 0 {
			scenes = append(scenes, len(live[0])-1)
		}
	}
	join := func() viewer {
		pick, v := rng.IntN(10), 0
		for pick -= shares[v]; pick >= 0; pick -= shares[v] {
			v++
		}
		edge := len(live[0])
		switch where := rng.IntN(10); {
		case where < 4:
			return viewer{v, max(edge-3, 0)}
		case where < 9 || len(scenes) == 0:
			return viewer{v, 0}
		default:
			return viewer{v, scenes[rng.IntN(len(scenes))]}
		}
	}
	return func(t *trace) {
		for {
			if next == len(all) { // all have had their turn: the time of a segment is over
				next = 0
				grow(t)
				for len(all) < viewers {
					all = append(all, join())
				}
			}
			w := &all[next]
			next++
			if rng.IntN(stay) == 0 {
				*w = join()
			}
			if w.at < len(live[w.variant]) {
				t.ask(live[w.variant][w.at])
				w.at++
				return
			}
		}
	}
}
