package main

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var seeds = flag.Int("seeds", 3, "how often tests with chance in them run, each time with another seed")

// seeded runs a test with each seed. The seed is part of the names of objects.
func seeded(t *testing.T, test func(t *testing.T, rng *rand.Rand, seed int)) {
	for seed := range *seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { test(t, rand.New(rand.NewPCG(uint64(seed), 7)), seed) })
	}
}

func median(of []time.Duration) (half, most time.Duration) {
	slices.Sort(of)
	return of[len(of)/2], of[len(of)*99/100]
}

func since(at time.Time, all []time.Time) (d []time.Duration) {
	for _, one := range all {
		d = append(d, one.Sub(at))
	}
	return d
}

// The viewers then ask a process with nothing but net/http for the same. The time of this is not the time of the nodes.
func TestManyViewersOfOneColdSegment(t *testing.T) {
	o := newSource(t)
	alone := startBare(t)
	for name, e := range map[string]*engine{"engine": newEngine(t), "members": nil} {
		nodes := startNodes(t, 4, o, e)
		var ofNodes, ofOne []*fan
		for i := range crowd {
			ofNodes, ofOne = append(ofNodes, newFan(t, nodes[i%4].url)), append(ofOne, newFan(t, alone))
		}
		warm := fmt.Sprintf("/%d/500/warm%s", 64<<10, name)
		crowded(t, "/live"+warm, bodyOf(warm, "1", 64<<10), ofNodes)
		seeded(t, func(t *testing.T, rng *rand.Rand, seed int) {
			path := fmt.Sprintf("/%d/2000/%s%d.ts", 4<<20, name, seed)
			want := bodyOf(path, "1", 4<<20)
			asked := time.Now()
			_, first, last := crowded(t, "/live"+path, want, ofNodes)
			begun, ended := o.times(path)
			compared(t, "four nodes", asked, begun, ended, first, last)
			require.LessOrEqual(t, o.count(path), most(t, 1, nodes...))
			if seed > 0 || raced {
				return
			}

			asked = time.Now()
			h, first, last := crowded(t, path, want, ofOne)
			ns, err := strconv.ParseInt(h.Get(fieldBegan), 10, 64)
			require.NoError(t, err)
			begun = time.Unix(0, ns)
			ended = begun.Add(2*time.Second - 2*time.Second*pieceSize/(4<<20))
			compared(t, "one process with nothing but net/http", asked, begun, ended, first, last)
		})
	}
}

// crowded lets viewers request one body at once. It returns the header of one answer, and the times of first and last bytes.
func crowded(t *testing.T, path string, want []byte, fans []*fan) (h http.Header, first, last []time.Time) {
	first, last = make([]time.Time, len(fans)), make([]time.Time, len(fans))
	all(len(fans), func(i int) {
		said, begins, ends, err := fans[i].follow(path, want)
		assert.NoError(t, err, "viewer %d", i)
		if first[i], last[i] = begins, ends; i == 0 {
			h = said
		}
	})
	require.False(t, t.Failed())
	return h, first, last
}

// compared logs how long after its source viewers got a body.
func compared(t *testing.T, what string, asked, begun, ended time.Time, first, last []time.Time) {
	half, most := median(since(begun, first))
	halfEnd, mostEnd := median(since(ended, last))
	t.Logf("%s: %v after the request the first byte, p50 %v and p99 %v later at viewers; the last byte p50 %v, p99 %v",
		what, begun.Sub(asked), half, most, halfEnd, mostEnd)
}

// most is the largest number of fetches that is right: the bar, and one more for each time that a node tried another way
// because the machine was busy, but at most one for each of four nodes.
func most(t *testing.T, bar int, nodes ...*node) int {
	tried := 0
	for _, n := range nodes {
		s := n.stats()
		tried += int(s.Alone + s.Takeovers + s.Unheard + s.Hedged)
	}
	if tried > 0 {
		t.Logf("this machine is overloaded: %d times another way was tried", tried)
	}
	return bar + min(tried, 3*bar)
}

func logStats(t *testing.T, nodes []*node) {
	for _, n := range nodes {
		s := n.stats()
		t.Logf("from nodes %d, to nodes %d, takeovers %d, alone %d, hedged %d, resumed %d, refused %d, unheard %d",
			s.FromNodes, s.ToNodes, s.Takeovers, s.Alone, s.Hedged, s.Resumed, s.Refused, s.Unheard)
	}
}

func TestManyObjectsOnAllNodesAtOnce(t *testing.T) {
	o := newSource(t)
	nodes := startNodes(t, 4, o, newEngine(t), "-cache", "1GiB")
	seeded(t, func(t *testing.T, rng *rand.Rand, seed int) {
		film := fmt.Sprintf("/%d/0/film%d.mp4", 200<<20, seed)
		filmBody := o.film(film, 200<<20)
		all(200, func(i int) {
			size := 1000 + i*997
			path := fmt.Sprintf("/%d/20/s%d-%d.ts", size, seed, i)
			want := bodyOf(path, "1", size)
			all(4, func(n int) {
				url := nodes[n].url + "/live"
				switch (i + n) % 5 {
				case 0:
					resp, err := viewers.Head(url + path)
					assert.NoError(t, err)
					assert.EqualValues(t, size, resp.ContentLength)
					resp.Body.Close()
				case 1:
					s := view(url+path, "Range", "bytes=0-499")
					assert.True(t, s.err == nil && s.status == 206 && bytes.Equal(want[:500], s.body), "%v", s.err)
				case 2:
					s := view(url+path, "Range", "bytes=-300")
					assert.True(t, s.err == nil && s.status == 206 && bytes.Equal(want[size-300:], s.body), "%v", s.err)
				default:
					s := view(url + path)
					assert.True(t, s.err == nil && s.status == 200 && bytes.Equal(want, s.body), "%v", s.err)
				}
				if i%20 == 0 {
					off := (i*31 + n*7) % 190 << 20
					s := view(url+film, "Range", fmt.Sprintf("bytes=%d-%d", off+5, off+3<<20))
					assert.True(t, s.err == nil && s.status == 206 && bytes.Equal(filmBody[off+5:off+3<<20+1], s.body), "%v %d", s.err, s.status)
				}
			})
		})
		logStats(t, nodes)
		require.LessOrEqual(t, o.most(fmt.Sprintf("/s%d-", seed)), most(t, 1, nodes...))
		require.LessOrEqual(t, o.most(film), most(t, 1, nodes...), "each slice once")
	})
}

func TestALivePlaylistIsAskedForOncePerTTL(t *testing.T) {
	o := newSource(t)
	nodes := startNodes(t, 4, o, newEngine(t))
	seeded(t, func(t *testing.T, rng *rand.Rand, seed int) {
		t.Parallel() // they mostly wait
		path := fmt.Sprintf("/live/%d.m3u8", seed)
		var oldest, slowest atomic.Int64
		begun := time.Now()
		all(8, func(i int) {
			time.Sleep(time.Duration(i) * 61 * time.Millisecond)
			for time.Since(begun) < 3*time.Second {
				at := time.Now()
				s := view(nodes[i%4].url + "/live" + path)
				if !assert.NoError(t, s.err) {
					return
				}
				_, text, _ := strings.Cut(string(s.body), "#X-AT:")
				made, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
				assert.NoError(t, err)
				raise(&oldest, int64(at.Sub(time.Unix(0, made))))
				raise(&slowest, int64(s.all))
				time.Sleep(20 * time.Millisecond)
			}
		})
		ran := time.Since(begun)
		t.Logf("oldest %v, %d fetches in %v", time.Duration(oldest.Load()), o.count(path), ran)
		// An overloaded machine is slow between origin, node and viewer, too.
		require.LessOrEqual(t, time.Duration(oldest.Load()), 550*time.Millisecond+time.Duration(slowest.Load()))
		require.LessOrEqual(t, o.count(path), most(t, int(ran/(500*time.Millisecond))+1, nodes...))
	})
}

// raise makes n at least m.
func raise(n *atomic.Int64, m int64) {
	for was := n.Load(); was < m && !n.CompareAndSwap(was, m); was = n.Load() {
	}
}

func TestBlockedViewersAreAnsweredThoughTheHolderDies(t *testing.T) {
	o := newSource(t)
	nodes := startNodes(t, 4, o, newEngine(t))
	block := func(name string, from int, fault func()) {
		path := fmt.Sprintf("/block/%s.m3u8?_HLS_msn=%s", name, "7")
		time.AfterFunc(time.Second, fault)
		all(200, func(i int) {
			s := view(nodes[from+i%(4-from)].url + "/live" + path)
			assert.NoError(t, s.err)
			assert.Contains(t, string(s.body), "#EXTINF", "viewer %d", i)
		})
	}
	block("quiet", 0, func() {})
	require.LessOrEqual(t, o.count("/block/quiet"), most(t, 1, nodes...))
	// Ask the first node first: it is to hold the object.
	ready := make(chan seen)
	go func() { ready <- view(nodes[0].url + "/live/block/killed.m3u8?_HLS_msn=7") }()
	require.Eventually(t, func() bool { return o.count("/block/killed") == 1 }, time.Minute, time.Millisecond)
	block("killed", 1, nodes[0].kill)
	<-ready
	require.LessOrEqual(t, o.count("/block/killed"), 2*most(t, 1, nodes[2], nodes[3]))
}

// holder is the node that asks the origin, and the others.
func holder(t *testing.T, nodes []*node) (one *node, others []*node) {
	t.Helper()
	require.Eventually(t, func() bool {
		others = nil
		for _, n := range nodes {
			if n.stats().Parent.Misses > 0 {
				one = n
			} else {
				others = append(others, n)
			}
		}
		return one != nil
	}, time.Minute, 5*time.Millisecond)
	return one, others
}

func TestAHolderThatEndsMidwayCutsNobodyElse(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "hangs": syscall.SIGSTOP} {
		for _, percent := range []int{10, 50, 90} {
			for _, e := range []*engine{newEngine(t), nil} {
				t.Run(fmt.Sprintf("%s at %d %%, engine %v", name, percent, e != nil), func(t *testing.T) {
					t.Parallel()
					o := newSource(t)
					nodes := startNodes(t, 4, o, e)
					path := fmt.Sprintf("/%d/2000/a.ts", 4<<20)
					begun := time.Now()
					go view(nodes[0].url + "/live" + path)
					one, others := holder(t, nodes)
					time.AfterFunc(time.Duration(percent)*20*time.Millisecond-time.Since(begun), func() { one.signal(s) })
					want := bodyOf(path, "1", 4<<20)
					all(30, func(i int) {
						s := view(others[i%3].url + "/live" + path)
						assert.NoError(t, s.err)
						assert.True(t, bytes.Equal(want, s.body))
					})
					require.LessOrEqual(t, o.count(path), 4)
					if o.count(path) > 2 {
						logStats(t, others)
						t.Log("this machine is overloaded: more than two fetches")
					}
				})
			}
		}
	}
}

func TestWithoutAStrongETagABodyBreaksLoudly(t *testing.T) {
	t.Parallel()
	tags := map[string]func(string) string{"weak": func(tag string) string { return "W/" + tag }, "none": func(string) string { return "" }}
	for kind, tag := range tags {
		for name, s := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "hangs": syscall.SIGSTOP} {
			for _, e := range []*engine{newEngine(t), nil} {
				t.Run(fmt.Sprintf("%s, %s, engine %v", kind, name, e != nil), func(t *testing.T) {
					t.Parallel()
					o := newSource(t)
					o.tag = tag
					nodes := startNodes(t, 4, o, e)
					path := fmt.Sprintf("/%d/2000/a.ts", 4<<20)
					go view(nodes[0].url + "/live" + path)
					one, others := holder(t, nodes)
					time.AfterFunc(700*time.Millisecond, func() { one.signal(s) })
					want := bodyOf(path, "1", 4<<20)
					all(12, func(i int) {
						s := view(others[i%3].url + "/live" + path)
						assert.True(t, s.err != nil || bytes.Equal(want, s.body), "an end that looks well")
					})
					look(t, others, path, "1")
				})
			}
		}
	}
}
