package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// site is an origin of files that counts its requests.
type site struct {
	think time.Duration // before each header, except those of playlists
	more  func(r *http.Request) (reply, bool)

	mu    sync.Mutex
	files map[string]string
	asked map[string]int
	log   []string
}

func newSite(files map[string]string) *site {
	return &site{files: files, asked: map[string]int{}}
}

func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	name := r.URL.Host + r.URL.Path
	if q := r.URL.RawQuery; q != "" {
		name += "?" + q
	}
	name = strings.TrimPrefix(name, "o")
	s.mu.Lock()
	s.asked[name]++
	s.log = append(s.log, name)
	text, ok := s.files[name]
	s.mu.Unlock()
	if !strings.Contains(name, ".m3u8") {
		time.Sleep(s.think)
	}
	if s.more != nil {
		if a, ok := s.more(r); ok {
			return a.response(r), nil
		}
	}
	switch {
	case strings.Contains(name, ".m3u8") && ok:
		return reply{header: head("Content-Type", "application/vnd.apple.mpegurl"), body: strings.NewReader(text)}.response(r), nil
	case strings.Contains(name, "missing"):
		return reply{status: 404}.response(r), nil
	}
	return reply{header: head("Content-Type", "video/mp2t"), body: strings.NewReader("segment " + strings.TrimSuffix(name, ".ts"))}.response(r), nil
}

func (s *site) set(name, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[name] = text
}

// took returns the requests since the last call, without playlists, in the order of names.
func (s *site) took() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := slices.DeleteFunc(s.log, func(name string) bool { return strings.Contains(name, ".m3u8") })
	s.log = nil
	slices.Sort(names)
	return names
}

func (s *site) counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.asked)
}

func paths(first, last int) (names []string) {
	for i := first; i <= last; i++ {
		names = append(names, fmt.Sprintf("/%d.ts", i))
	}
	return names
}

func film(n int) string {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-PLAYLIST-TYPE:VOD\n")
	for i := range n {
		fmt.Fprintf(&b, "#EXTINF:4,\n%d.ts\n", i)
	}
	return b.String() + "#EXT-X-ENDLIST\n"
}

// settled asks for url, and waits for the fetches that follow from it.
func settled(t *testing.T, c http.RoundTripper, url string, header ...string) (status string) {
	t.Helper()
	resp, _ := fetch(t, c, url, header...)
	time.Sleep(3 * time.Second)
	synctest.Wait()
	return resp.Header.Get("Cache-Status")
}

func ahead(t *testing.T, o *site, n int) *cache.Transport {
	return &cache.Transport{Base: o, Store: store(t), Ahead: n}
}

func TestAheadOfAFilm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newSite(map[string]string{"/list.m3u8": film(20)})
		c := ahead(t, o, 3)
		settled(t, c, "http://o/list.m3u8")
		require.Empty(t, o.took(), "nobody plays yet")
		require.Contains(t, settled(t, c, "http://o/0.ts"), "fwd=uri-miss")
		require.Equal(t, paths(0, 3), o.took())
		for i := 1; i < 10; i++ {
			require.Equal(t, "hlsproxy; hit", settled(t, c, fmt.Sprintf("http://o/%d.ts", i)))
		}
		require.ElementsMatch(t, paths(4, 12), o.took(), "three ahead of the last one that was asked for")
		s := c.Stats()
		require.EqualValues(t, 12, s.Prefetched)
		require.EqualValues(t, 9, s.PrefetchedUsed)
		require.EqualValues(t, 2, s.Misses, "what viewers had to wait for: the playlist and the first segment")
		require.EqualValues(t, 9, s.Hits)

		time.Sleep(time.Hour / 2)
		require.Empty(t, o.took(), "nobody plays any longer")

		require.Contains(t, settled(t, c, "http://o/18.ts"), "fwd=uri-miss")
		require.Equal(t, paths(18, 19), o.took(), "a jump, and the end")
		require.Equal(t, "hlsproxy; hit", settled(t, c, "http://o/2.ts", "Range", "bytes=0-1"))
		require.Empty(t, o.took(), "a jump back to what is there")
	})
}

func TestAheadIsOffByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []*cache.Transport{{Store: store(t)}, {Store: store(t), Ahead: -1}, {Ahead: 3}} {
			o := newSite(map[string]string{"/list.m3u8": film(20)})
			c.Base = o
			settled(t, c, "http://o/list.m3u8")
			settled(t, c, "http://o/0.ts")
			require.Equal(t, paths(0, 0), o.took())
		}
	})
}

func TestAheadOfALiveStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newSite(nil)
		o.files = map[string]string{}
		window := func(first, last int) {
			var names []string
			for i := first; i <= last; i++ {
				names = append(names, fmt.Sprintf("%d.ts", i))
			}
			o.set("/list.m3u8", strings.Replace(live(4, names...), "MEDIA-SEQUENCE:1", fmt.Sprintf("MEDIA-SEQUENCE:%d", first), 1))
		}
		c := ahead(t, o, 2)
		window(1, 5)
		settled(t, c, "http://o/list.m3u8")
		settled(t, c, "http://o/3.ts")
		require.Equal(t, paths(3, 5), o.took())
		settled(t, c, "http://o/4.ts")
		settled(t, c, "http://o/5.ts")
		require.Empty(t, o.took(), "there is no more")
		window(2, 6)
		settled(t, c, "http://o/list.m3u8")
		require.Equal(t, paths(6, 6), o.took(), "as soon as a playlist names it")
		require.Equal(t, "hlsproxy; hit", settled(t, c, "http://o/6.ts"))
		time.Sleep(time.Minute)
		window(12, 16)
		settled(t, c, "http://o/list.m3u8")
		require.Empty(t, o.took(), "who only looks at the playlist watches nothing")
	})
}

func TestAheadInLowLatency(t *testing.T) {
	const list = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=3\n#EXT-X-PART-INF:PART-TARGET=1\n" +
		"#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:4,\n7.ts\n#EXTINF:4,\n8.ts\n" +
		"#EXT-X-PART:DURATION=1,URI=\"9.0.ts\"\n#EXT-X-PART:DURATION=1,URI=\"9.1.ts\"\n#EXT-X-PART:DURATION=1,URI=\"9.2.ts\",GAP=YES\n" +
		"#EXT-X-PART:DURATION=1,URI=\"9.3.ts\"\n#EXTINF:4,\n9.ts\n#EXT-X-PART:DURATION=1,URI=\"10.0.ts\"\n"
	const hint = "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"10.1.ts\"\n#EXT-X-RENDITION-REPORT:URI=\"other.m3u8\",LAST-MSN=9\n"
	synctest.Test(t, func(t *testing.T) {
		o := newSite(map[string]string{"/list.m3u8": list + hint})
		c := ahead(t, o, 4)
		settled(t, c, "http://o/list.m3u8")
		settled(t, c, "http://o/9.0.ts")
		require.Equal(t, []string{"/10.0.ts", "/9.0.ts", "/9.1.ts", "/9.3.ts"}, o.took(), "parts after parts, no gap, no hint")
		settled(t, c, "http://o/7.ts")
		require.Equal(t, paths(7, 9), o.took(), "segments after segments")
		settled(t, c, "http://o/10.1.ts", "Cmcd-Request", `nor="10.1.ts"`) // as players announce hinted parts
		o.took()
		o.set("/list.m3u8?_HLS_msn=10&_HLS_part=2", list+"#EXT-X-PART:DURATION=1,URI=\"10.1.ts\"\n#EXT-X-PART:DURATION=1,URI=\"10.2.ts\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"10.3.ts\"\n")
		settled(t, c, "http://o/list.m3u8?_HLS_msn=10&_HLS_part=2")
		require.Equal(t, []string{"/10.2.ts"}, o.took())
		require.Equal(t, map[string]int{"/list.m3u8": 1, "/list.m3u8?_HLS_msn=10&_HLS_part=2": 1}, lists(o.counts()), "no playlist is asked for")

		const delta = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-VERSION:9\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n#EXTINF:4,\n8.ts\n#EXTINF:4,\n9.ts\n#EXTINF:4,\n10.ts\n"
		o.set("/list.m3u8?_HLS_msn=11&_HLS_skip=YES", delta)
		settled(t, c, "http://o/list.m3u8?_HLS_msn=11&_HLS_skip=YES")
		settled(t, c, "http://o/7.ts")
		require.Equal(t, []string{"/10.ts"}, o.took(), "a delta update leaves out what is known")
	})
}

func lists(counts map[string]int) map[string]int {
	maps.DeleteFunc(counts, func(name string, _ int) bool { return !strings.Contains(name, ".m3u8") })
	return counts
}

func TestAheadAsksOnceForManyViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newSite(map[string]string{"/list.m3u8": film(60)})
		o.think = 300 * time.Millisecond
		c := ahead(t, o, 4)
		settled(t, c, "http://o/list.m3u8")
		var viewers sync.WaitGroup
		for i := range 50 {
			viewers.Go(func() {
				time.Sleep(time.Duration(i*37%20) * time.Second / 4)
				for n := range 50 {
					_, body := fetch(t, c, fmt.Sprintf("http://o/%d.ts", n))
					require.Equal(t, fmt.Sprintf("segment /%d", n), body)
					time.Sleep(4 * time.Second)
				}
			})
		}
		viewers.Wait()
		synctest.Wait()
		for name, n := range o.counts() {
			require.Equal(t, 1, n, name)
		}
		require.Len(t, o.counts(), 1+54)
		s := c.Stats()
		require.EqualValues(t, 53, s.Prefetched)
		require.EqualValues(t, 49, s.PrefetchedUsed)
		require.Zero(t, s.Fills)
	})
}

func TestAheadOfASlowOrigin(t *testing.T) {
	waited := func(n int) (all, worst time.Duration, hits uint64) {
		synctest.Test(t, func(t *testing.T) {
			o := newSite(map[string]string{"/list.m3u8": film(40)})
			o.think = 8 * time.Second // twice as long as a segment plays
			c := ahead(t, o, n)
			fetch(t, c, "http://o/list.m3u8")
			for i := range 30 {
				asked := time.Now()
				fetch(t, c, fmt.Sprintf("http://o/%d.ts", i))
				took := time.Since(asked)
				if all += took; i > 1 {
					worst = max(worst, took)
				}
				time.Sleep(max(4*time.Second-took, 0))
			}
			time.Sleep(time.Minute)
			hits = c.Stats().Hits
		})
		return all, worst, hits
	}
	all, _, hits := waited(0)
	require.Equal(t, 30*8*time.Second, all)
	require.Zero(t, hits)
	all, worst, hits := waited(4)
	require.LessOrEqual(t, all, 18*time.Second, "the first one, and the next, which was asked for when that had come")
	require.LessOrEqual(t, worst, time.Second)
	require.GreaterOrEqual(t, hits, uint64(25))
}

// On a slow line, the segment that a viewer waits for has the whole line: the next segments wait for each other.
func TestAheadOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		o := newSite(map[string]string{"/list.m3u8": film(40)})
		o.more = func(r *http.Request) (reply, bool) {
			if !strings.HasSuffix(r.URL.Path, ".ts") {
				return reply{}, false
			}
			mu.Lock()
			defer mu.Unlock()
			now++
			most = max(most, now)
			return reply{header: head("Content-Type", "video/mp2t"), length: 10, body: &drip{left: 10, pause: time.Second, end: func() {
				mu.Lock()
				defer mu.Unlock()
				now--
			}}}, true
		}
		c := ahead(t, o, 4)
		fetch(t, c, "http://o/list.m3u8")
		fetch(t, c, "http://o/0.ts")
		time.Sleep(time.Minute)
		require.Equal(t, paths(0, 4), o.took())
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, 1, most)
	})
}

// drip is a body that comes slowly.
type drip struct {
	left  int
	pause time.Duration
	end   func()
}

func (d *drip) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(d.pause)
	d.left--
	p[0] = 'x'
	if d.left == 0 {
		d.end()
	}
	return 1, nil
}

func (d *drip) Close() error { return nil }

// A player plays a film from an origin that takes half a second for each segment. With Ahead it waits for the first one only.
func ExampleTransport_ahead() {
	origin := trip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/film/index.m3u8" {
			return text("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n1.ts\n#EXTINF:4,\n2.ts\n#EXTINF:4,\n3.ts\n#EXT-X-ENDLIST\n").response(r), nil
		}
		return text("segment", "Content-Type", "video/mp2t").response(r), nil
	})
	shared := &cache.Transport{Base: origin, Store: cache.NewMemory(1 << 20), Ahead: 2}
	for _, name := range []string{"index.m3u8", "1.ts", "2.ts", "3.ts"} {
		r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://origin.example/film/"+name, nil)
		resp, err := shared.RoundTrip(r)
		if err != nil {
			panic(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		for name == "1.ts" && shared.Stats().Prefetched < 2 {
			time.Sleep(time.Millisecond) // while it plays
		}
		fmt.Println(name, resp.Header.Get("Cache-Status"))
	}
	// Output:
	// index.m3u8 hlsproxy; fwd=uri-miss; stored
	// 1.ts hlsproxy; fwd=uri-miss; stored
	// 2.ts hlsproxy; hit
	// 3.ts hlsproxy; hit
}

// If one slice of a film cannot be fetched, no other is tried for a while.
func TestASliceThatCannotBeHadEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const segment, all = 20 << 20, 200 << 20
		var list strings.Builder
		list.WriteString("#EXTM3U\n#EXT-X-TARGETDURATION:4\n")
		for i := range 10 {
			fmt.Fprintf(&list, "#EXTINF:4,\n#EXT-X-BYTERANGE:%d@%d\nall.ts\n", segment, i*segment)
		}
		var mu sync.Mutex
		failed := 0
		o := newSite(map[string]string{"/list.m3u8": list.String() + "#EXT-X-ENDLIST\n"})
		o.more = func(r *http.Request) (reply, bool) {
			mu.Lock()
			defer mu.Unlock()
			switch field := r.Header.Get("Range"); {
			case r.URL.Path != "/all.ts":
				return reply{}, false
			case field == "":
				return reply{header: head("Content-Type", "video/mp2t", "ETag", `"a"`, "Accept-Ranges", "bytes"), length: all,
					body: io.LimitReader(zeros{}, all)}, true
			case field == "bytes=0-2097151":
				return reply{status: 206, header: head("Content-Type", "video/mp2t", "ETag", `"a"`, "Content-Range", fmt.Sprintf("bytes 0-2097151/%d", all)),
					body: strings.NewReader(strings.Repeat("x", 2<<20))}, true
			}
			failed++
			return reply{status: 503}, true
		}
		c := &cache.Transport{Base: o, Store: store(t), Ahead: 4, MaxBody: 32 << 20}
		settled(t, c, "http://o/list.m3u8")
		settled(t, c, "http://o/all.ts", "Range", "bytes=0-9")
		require.LessOrEqual(t, failed, 1, "nothing more is asked for when something could not be had")
		require.Zero(t, c.Stats().Prefetched)
	})
}

// ends makes a body end in some way.
type ends struct{ panics, fails bool }

func (e ends) Read([]byte) (int, error) {
	switch {
	case e.panics:
		panic("a hook")
	case e.fails:
		return 0, errors.New("broken")
	}
	runtime.Goexit()
	return 0, nil
}

// trickle is a body that brings a megabyte a second.
type trickle struct{}

func (trickle) Read(p []byte) (int, error) {
	time.Sleep(time.Second / 10)
	p = p[:min(len(p), 100_000)]
	clear(p)
	return len(p), nil
}

// However a fetch ahead ends, its place is free afterwards.
func TestWhatIsFetchedAheadGivesItsPlaceBack(t *testing.T) {
	mp := head("Content-Type", "video/mp2t")
	for name, more := range map[string]func(r *http.Request) reply{
		"panic":       func(*http.Request) reply { panic("x") },
		"exit":        func(*http.Request) reply { runtime.Goexit(); return reply{} },
		"exit later":  func(*http.Request) reply { return reply{header: mp, length: 100, body: ends{}} },
		"panic later": func(*http.Request) reply { return reply{header: mp, length: 100, body: ends{panics: true}} },
		"breaks":      func(*http.Request) reply { return reply{header: mp, length: 100, body: ends{fails: true}} },
		"private":     func(*http.Request) reply { return text("x", "Content-Type", "video/mp2t", "Cache-Control", "private") },
		"redirect":    func(*http.Request) reply { return reply{status: 302, header: head("Location", "/x.ts")} },
		"304":         func(*http.Request) reply { return reply{status: 304} },
		"206":         func(*http.Request) reply { return reply{status: 206, header: head("Content-Range", "bytes 5-9/100")} },
		"503":         func(*http.Request) reply { return reply{status: 503} },
		"varies":      func(*http.Request) reply { return text("x", "Content-Type", "video/mp2t", "Vary", "X-A") },
		"varies all":  func(*http.Request) reply { return text("x", "Content-Type", "video/mp2t", "Vary", "*") },
		"slow":        func(*http.Request) reply { time.Sleep(time.Second); return text("x", "Content-Type", "video/mp2t") },
		"too slow":    func(*http.Request) reply { time.Sleep(time.Minute); return text("x", "Content-Type", "video/mp2t") },
		"slow body": func(*http.Request) reply {
			return reply{header: mp, length: 300000, body: io.LimitReader(trickle{}, 300000)}
		},
		"moved": nil,
	} {
		for _, purge := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				o := newSite(map[string]string{"/list.m3u8": film(20)})
				o.more = func(r *http.Request) (reply, bool) {
					if more == nil || strings.Contains(r.URL.Path, "m3u8") || r.URL.Path == "/0.ts" || strings.HasPrefix(r.URL.Path, "/y") {
						return reply{}, false
					}
					return more(r), true
				}
				c := ahead(t, o, 5)
				c.MaxFills = 8
				fetch(t, c, "http://o/list.m3u8")
				fetch(t, c, "http://o/0.ts")
				time.Sleep(50 * time.Millisecond)
				for i := range 4 { // viewers who join; some of them leave
					go func() {
						ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*100*time.Millisecond+time.Millisecond)
						defer cancel()
						if resp, err := c.RoundTrip(request(t, ctx, fmt.Sprintf("http://o/%d.ts", 1+i/2), "X-A", fmt.Sprint(i))); err == nil {
							io.Copy(io.Discard, resp.Body)
							resp.Body.Close()
						}
					}()
				}
				synctest.Wait()
				if purge {
					c.PurgePrefix(context.Background(), "http://o/")
				}
				time.Sleep(10 * time.Minute)
				require.Zero(t, c.Stats().Fills, name)
				o.more, o.think = nil, time.Second // all places are free again, and no more
				got := make(chan error, 20)
				for i := range 9 {
					go func() { _, _, err := try(t, c, fmt.Sprintf("http://o/y%d", i)); got <- err }()
				}
				busy := 0
				for range 9 {
					if errors.Is(<-got, cache.ErrBusy) {
						busy++
					}
				}
				require.Equal(t, 1, busy, name)
			})
		}
	}
}

// The time to compare long names, and many that stand for nothing, grows with their length. If it grew with the square, this
// test would take minutes.
func TestLongNamesOfAPlaylistCostLittle(t *testing.T) {
	n := 20_000
	if raceEnabled {
		n = 2_000 // the race detector looks at each byte
	}
	for name, c := range map[string]struct{ list, ref string }{
		"many names":     {strings.Repeat("x\n", n), "http://o/" + strings.Repeat("ax", n)},
		"shorter names":  {strings.Repeat("x\n", n), "http://o/" + strings.Repeat("ax", 1000)},
		"one long name":  {strings.Repeat("a", 10*n) + "\n", "http://o/b" + strings.Repeat("a", 20*n)},
		"a name of many": {strings.Repeat("a", 2000) + "\n", "http://o/b" + strings.Repeat("a", 4000)},
	} {
		o := newSite(map[string]string{"/list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n" + c.list + "#EXT-X-ENDLIST\n"}) // a live one may be stale before it is read
		shared := ahead(t, o, 1)
		shared.Refs = func([]byte, string) iter.Seq[string] { return slices.Values(slices.Repeat([]string{c.ref}, 16)) }
		fetch(t, shared, "http://o/list.m3u8")
		require.Eventually(t, func() bool { return shared.Stats().Stored == 1 }, time.Minute, time.Millisecond, name)
	}
}
