package cache_test

import (
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// lines is a minimal Refs: every line that is not a tag.
func lines(playlist []byte, base string) iter.Seq[string] {
	b, _ := url.Parse(base)
	return func(yield func(string) bool) {
		for line := range strings.Lines(string(playlist)) {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				continue
			}
			if ref, err := b.Parse(line); err == nil && !yield(ref.String()) {
				return
			}
		}
	}
}

const segmentSize = 20_000

// stream is a live stream of six segments besides an archive.
type stream struct {
	scripted
	edge  int
	ended bool
}

func (s *stream) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked.Add(1)
	if !strings.HasSuffix(r.URL.Path, ".m3u8") {
		return text(string(make([]byte, segmentSize)), "Content-Type", "video/mp2t").response(r), nil
	}
	var names []string
	for i := s.edge - 6; i < s.edge; i++ {
		names = append(names, fmt.Sprintf("live%d.ts", i))
	}
	body := live(4, names...)
	if s.ended {
		body += "#EXT-X-ENDLIST\n"
	}
	return text(body, "Content-Type", "application/x-mpegurl").response(r), nil
}

// isKept asks with HEAD, which stores nothing and holds nothing.
func isKept(t *testing.T, c *cache.Transport, name string) bool {
	t.Helper()
	r := request(t, t.Context(), "http://origin.example/live/"+name)
	r.Method = http.MethodHead
	resp, err := c.RoundTrip(r)
	require.NoError(t, err)
	resp.Body.Close()
	return resp.Header.Get("Cache-Status") == "hlsproxy; hit"
}

func TestSegmentsOfALiveWindowStayAndThenGoFirst(t *testing.T) {
	for _, blocking := range []string{"", "?_HLS_msn=%d", "?x=1&_HLS_msn=%d"} {
		synctest.Test(t, func(t *testing.T) {
			m := cache.NewMemory(20 * segmentSize)
			o := &stream{edge: 10}
			c := &cache.Transport{Base: o, Store: m, Refs: lines}
			list := func() {
				query := blocking
				if query != "" {
					query = fmt.Sprintf(blocking, o.edge)
				}
				fetch(t, c, listURL+query)
			}
			list()
			for i := 4; i < 10; i++ {
				fetch(t, c, fmt.Sprintf("http://origin.example/live/live%d.ts", i))
			}
			for i := range 100 { // a scan displaces itself
				fetch(t, c, fmt.Sprintf("http://origin.example/live/old%d.ts", i))
			}
			for i := 4; i < 10; i++ {
				require.True(t, isKept(t, c, fmt.Sprintf("live%d.ts", i)))
			}
			require.True(t, isKept(t, c, "old99.ts"))
			o.edge = 14
			time.Sleep(3 * time.Second)
			list()
			require.True(t, isKept(t, c, "live4.ts"), "nothing goes before its room is needed")
			for i := range 5 {
				fetch(t, c, fmt.Sprintf("http://origin.example/live/new%d.ts", i))
			}
			for i := 4; i < 10; i++ {
				require.Equal(t, i >= 8, isKept(t, c, fmt.Sprintf("live%d.ts", i)), "segment %d", i)
			}
		})
	}
}

func TestAWindowWithoutViewersOrEndProtectsNothing(t *testing.T) {
	for name, end := range map[string]func(*stream){"ended": func(s *stream) { s.ended = true }, "forgotten": func(*stream) { time.Sleep(2 * time.Minute) }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := cache.NewMemory(20 * segmentSize)
				o := &stream{edge: 10}
				c := &cache.Transport{Base: o, Store: m, Refs: lines}
				fetch(t, c, listURL)
				for i := 4; i < 10; i++ {
					fetch(t, c, fmt.Sprintf("http://origin.example/live/live%d.ts", i))
				}
				time.Sleep(3 * time.Second)
				end(o)
				if o.ended {
					fetch(t, c, listURL)
				} else {
					fetch(t, c, "http://origin.example/other/index.m3u8")
				}
				require.True(t, isKept(t, c, "live4.ts"))
				for i := range 100 {
					fetch(t, c, fmt.Sprintf("http://origin.example/live/old%d.ts", i))
				}
				for i := 5; i < 10; i++ {
					require.False(t, isKept(t, c, fmt.Sprintf("live%d.ts", i)))
				}
			})
		})
	}
}

func TestAPanicInRefsIsCounted(t *testing.T) {
	c := &cache.Transport{Base: &stream{edge: 10}, Store: store(t), Refs: func([]byte, string) iter.Seq[string] { panic("bang") }}
	fetch(t, c, listURL)
	require.EqualValues(t, 1, c.Stats().Errors)
}

// Refs is asked once for each version of a playlist, whatever it is needed for.
func TestRefsIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		o := &stream{edge: 10}
		c := &cache.Transport{Base: o, Store: store(t), Ahead: 2, Refs: func(list []byte, base string) iter.Seq[string] {
			asked++
			return lines(list, base)
		}}
		for version := range 3 {
			fetch(t, c, listURL)
			require.Equal(t, version+1, asked)
			time.Sleep(4 * time.Second)
			o.edge++
		}
	})
}

// Long playlists are read four at a time. One waits for its turn for a second, and then reaches its viewers all the same.
func TestLongPlaylistsAreReadInTurn(t *testing.T) {
	for name, row := range map[string]struct {
		segments, atOnce int
		names            int           // of 1000 bytes, from the hook
		took             time.Duration // by the hook
		longest          time.Duration // by the last viewer
	}{
		"short":                  {10, 20, 0, time.Minute, time.Minute},
		"long":                   {10_000, 4, 0, 100 * time.Millisecond, 500 * time.Millisecond},
		"long, and never done":   {10_000, 4, 0, time.Minute, time.Minute},
		"short, with long names": {10, 4, 1100, 100 * time.Millisecond, 500 * time.Millisecond},
		"long names, never done": {10, 4, 1100, time.Minute, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var names []string
				for n := range row.segments {
					names = append(names, fmt.Sprintf("%d.ts", n))
				}
				list := live(4, names...)
				var running, most, asked atomic.Int64
				c := &cache.Transport{Base: trip(func(r *http.Request) (*http.Response, error) { return text(list).response(r), nil }), Store: store(t)}
				c.Refs = func([]byte, string) iter.Seq[string] {
					return func(yield func(string) bool) {
						for range row.names {
							if !yield("http://o/" + strings.Repeat("n", 1000)) {
								return
							}
						}
						asked.Add(1)
						n := running.Add(1)
						for m := most.Load(); m < n && !most.CompareAndSwap(m, n); m = most.Load() {
						}
						defer running.Add(-1)
						time.Sleep(row.took)
					}
				}
				began := time.Now()
				var wg sync.WaitGroup
				for n := range 20 {
					wg.Go(func() { fetch(t, c, fmt.Sprintf("http://o/%d.m3u8", n)) })
				}
				wg.Wait()
				require.EqualValues(t, row.atOnce, most.Load())
				require.LessOrEqual(t, time.Since(began), row.longest)
				require.Equal(t, row.took == time.Minute && row.atOnce == 4, asked.Load() < 20)
			})
		})
	}
}

// A hook that ends its goroutine keeps no place from other playlists.
func TestALongPlaylistGivesItsPlaceBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := live(4, strings.Split(strings.Repeat("a.ts ", 20_000), " ")...)
		c := &cache.Transport{Base: trip(func(r *http.Request) (*http.Response, error) { return text(list).response(r), nil }), Store: store(t)}
		c.Refs = func([]byte, string) iter.Seq[string] { runtime.Goexit(); return nil }
		for n := range 8 {
			began := time.Now()
			_, _, err := try(t, c, fmt.Sprintf("http://o/%d.m3u8", n))
			require.NoError(t, err, "the answer itself is whole")
			require.Zero(t, time.Since(began))
		}
	})
}
