package cache_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// window is a live playlist of n segments from first on, with names like "live-7.ts" and more lines at its end.
func window(target, first, n int, more string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:%d\n", target, first)
	for i := range n {
		fmt.Fprintf(&b, "#EXTINF:%d,\nlive-%d.ts\n", target, first+i)
	}
	return b.String() + more
}

// freshFor is how long a browser, or a cache in front, considers an answer fresh.
func freshFor(t *testing.T, h http.Header) time.Duration {
	t.Helper()
	maxAge, ok := strings.CutPrefix(h.Get("Cache-Control"), "max-age=")
	require.True(t, ok, "%v", h)
	seconds, err := strconv.Atoi(maxAge)
	require.NoError(t, err)
	age, _ := strconv.Atoi(h.Get("Age"))
	return time.Duration(seconds-age) * time.Second
}

// Viewers are never told that a live playlist is fresher than the cache itself considers it, whatever the origin says.
func TestViewersAreToldHowFreshALivePlaylistIs(t *testing.T) {
	promises := []string{"Cache-Control", "public, max-age=86400, stale-while-revalidate=60", "Expires", "Sun, 06 Nov 2094 08:49:37 GMT", "CDN-Cache-Control", "max-age=99"}
	for name, row := range map[string]struct {
		path, body string
		live       bool
	}{
		"live":        {"index.m3u8", window(6, 7, 3, ""), true},
		"live, event": {"index.m3u8", window(6, 0, 3, "#EXT-X-PLAYLIST-TYPE:EVENT\n"), true},
		"VOD, grows":  {"index.m3u8", window(6, 0, 3, "#EXT-X-PLAYLIST-TYPE:VOD\n"), true},
		"off the air": {"index.m3u8", window(6, 7, 3, "#EXT-X-ENDLIST\n"), true},
		"ended":       {"index.m3u8", window(6, 0, 3, "#EXT-X-ENDLIST\n"), false},
		"segment":     {"seg.ts", "x", false},
	} {
		for _, length := range []int64{0, -1} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := &scripted{answer: func(*http.Request, int64) reply {
						a := text(row.body, promises...)
						a.length = length
						return a
					}}
					c := &cache.Transport{Base: o, Store: store(t)}
					begin := time.Now()
					for _, at := range []time.Duration{0, 0, 700 * time.Millisecond, 1500 * time.Millisecond, 2999 * time.Millisecond} {
						time.Sleep(time.Until(begin.Add(at)))
						resp, body := fetch(t, c, "http://o/"+row.path)
						require.Equal(t, row.body, body)
						if !row.live {
							require.Equal(t, promises[1], resp.Header.Get("Cache-Control"))
							require.Equal(t, promises[3], resp.Header.Get("Expires"))
							continue
						}
						require.Empty(t, resp.Header.Get("Expires")+resp.Header.Get("CDN-Cache-Control"))
						left := 3*time.Second - at
						require.LessOrEqual(t, freshFor(t, resp.Header), left)
						require.Greater(t, freshFor(t, resp.Header), left-2*time.Second)
					}
					require.EqualValues(t, 1, o.asked.Load())
				})
			})
		}
	}
}

// Nobody waits long for a playlist that stands still half-way, or at all for a body that is no playlist.
func TestAPlaylistThatIsNotThereYet(t *testing.T) {
	for start, wait := range map[string]time.Duration{"#EXTM3U\n": time.Second, "G@\x00\x10": 0} {
		synctest.Test(t, func(t *testing.T) {
			p := newPipe()
			c := &cache.Transport{Store: store(t), Base: &scripted{answer: func(*http.Request, int64) reply {
				p.send(start)
				return reply{header: head("Cache-Control", "max-age=99"), body: p}
			}}}
			begin := time.Now()
			resp, err := c.RoundTrip(request(t, t.Context(), listURL))
			require.NoError(t, err)
			require.Equal(t, wait, time.Since(begin))
			if wait > 0 {
				require.Zero(t, freshFor(t, resp.Header))
			}
			p.send(io.EOF)
			resp.Body.Close()
		})
	}
}

// encoder is an origin whose live stream begins again and again under the same names.
type encoder struct {
	mu sync.Mutex
	state
	validators bool
	vary       string
}

type state struct {
	generation int
	first, n   int
	more       string
}

func (e *encoder) set(generation, first, n int, more string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state = state{generation, first, n, more}
}

func (e *encoder) RoundTrip(r *http.Request) (*http.Response, error) {
	e.mu.Lock()
	g := e.state
	e.mu.Unlock()
	h := head("Cache-Control", "max-age=3600")
	if e.vary != "" {
		h.Set("Vary", e.vary)
	}
	if strings.HasSuffix(r.URL.Path, ".m3u8") {
		return reply{header: h, body: strings.NewReader(fmt.Sprintf("%s#GENERATION:%d\n", window(2, g.first, g.n, g.more), g.generation))}.response(r), nil
	}
	tag := fmt.Sprintf(`"%d"`, g.generation)
	if e.validators {
		h.Set("ETag", tag)
	}
	if r.Header.Get("If-None-Match") == tag {
		return reply{status: 304, header: h}.response(r), nil
	}
	return reply{header: h, body: strings.NewReader(fmt.Sprint(g.generation))}.response(r), nil
}

// In three generations of a stream with the same names, no viewer gets a segment of an earlier one after a playlist of the
// next.
func TestAnEncoderThatBeginsAgain(t *testing.T) {
	for name, row := range map[string]struct {
		first      int // number of each generation
		growing    bool
		ends       bool
		validators bool
		vary       string
		inherits   string // after each name
	}{
		"counts from 0":                    {},
		"counts from 0, with tags":         {validators: true},
		"counts from 0, variants":          {vary: "Accept-Language"},
		"grows from 0":                     {growing: true},
		"names inherit a parameter":        {inherits: "?token=1"},
		"ends between, and goes on":        {ends: true, first: 5},
		"ends between, and counts from 0":  {ends: true, validators: true},
		"counts from 5, its window is new": {first: 5, growing: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &encoder{validators: row.validators, vary: row.vary}
				c := &cache.Transport{Base: e, Store: store(t)}
				if row.inherits != "" {
					c.Refs = func(list []byte, _ string) iter.Seq[string] {
						return func(yield func(string) bool) {
							for ref := range lines(list, listURL) {
								if !yield(ref + row.inherits) {
									return
								}
							}
						}
					}
				}
				e.set(1, row.first, 3, "")
				ctx, stop := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				for i := range 50 {
					wg.Go(func() {
						lang := []string{"de", "en"}[i%2]
						newest := "0"
						for ctx.Err() == nil {
							_, list := fetch(t, c, listURL, "Accept-Language", lang)
							_, generation, _ := strings.Cut(list, "#GENERATION:")
							generation = strings.TrimSpace(generation)
							newest = max(newest, generation)
							for line := range strings.Lines(list) {
								if strings.HasPrefix(line, "#") {
									continue
								}
								_, body := fetch(t, c, "http://origin.example/live/"+strings.TrimSpace(line)+row.inherits, "Accept-Language", lang)
								require.GreaterOrEqual(t, body, newest, "%s after a playlist of generation %s", line, newest)
							}
							time.Sleep(time.Duration(300+i*7) * time.Millisecond)
						}
					})
				}
				for generation := 1; generation <= 3; generation++ {
					for i := range 8 {
						first, n := row.first+i, 3
						if row.growing {
							first, n = row.first, 3+i
						}
						e.set(generation, first, n, "")
						time.Sleep(2 * time.Second)
					}
					if row.ends {
						e.set(generation, row.first+7, 3, "#EXT-X-ENDLIST\n")
						time.Sleep(5 * time.Second)
					}
				}
				stop()
				wg.Wait()
			})
		})
	}
}

// That an encoder begins again is also noticed in delta updates, which name a part of the segments, and in a version that was
// too long to be looked at.
func TestAnEncoderThatBeginsAgainUnseen(t *testing.T) {
	const delta = listURL + "?_HLS_skip=YES"
	type step struct {
		generation, first int
		list              string
		busy              bool // other playlists take all places
		asks              []int
	}
	for name, row := range map[string]struct {
		n     int // segments of a version
		steps []step
	}{
		"by delta updates": {3, []step{
			{1, 0, listURL, false, []int{0, 1, 2}}, {1, 3, listURL, false, []int{3, 4, 5}},
			{2, 0, delta, false, []int{0, 1, 2}}, {2, 1, delta, false, []int{3}}, {2, 2, listURL, false, []int{4}},
		}},
		"with the names of now": {3, []step{
			{1, 3, listURL, false, []int{3, 4, 5}}, {2, 2, delta, false, []int{3, 4}}, {2, 3, listURL, false, []int{5}},
		}},
		"in a long one": {4000, []step{
			{1, 100, listURL, false, []int{4000, 4050}}, {2, 50, listURL, true, nil}, {2, 51, listURL, false, []int{4000, 4050}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, busy := &encoder{}, make(chan struct{})
				c := &cache.Transport{Base: e, Store: store(t), Refs: func(_ []byte, base string) iter.Seq[string] {
					return func(func(string) bool) {
						if strings.HasPrefix(base, "http://other/") {
							<-busy
						}
					}
				}}
				for _, s := range row.steps {
					e.set(s.generation, s.first, row.n, "")
					if s.busy {
						for i := range 4 {
							go try(t, c, fmt.Sprintf("http://other/%d.m3u8", i))
						}
						synctest.Wait()
					}
					fetch(t, c, s.list)
					if s.busy {
						close(busy)
					}
					for _, n := range s.asks {
						_, body := fetch(t, c, fmt.Sprintf("http://origin.example/live/live-%d.ts", n))
						require.Equal(t, fmt.Sprint(s.generation), body, "live-%d.ts", n)
					}
					time.Sleep(2 * time.Second)
				}
			})
		})
	}
}

// A name that has left the window returns: it may be another segment now.
func TestANameThatReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lists := []string{"a.ts b.ts", "b.ts c.ts", "c.ts d.ts", "d.ts a.ts"}
		asked := map[string]int{}
		step := 0
		c := &cache.Transport{Store: store(t), Base: trip(func(r *http.Request) (*http.Response, error) {
			asked[r.URL.Path]++
			if strings.HasSuffix(r.URL.Path, ".m3u8") {
				return text(strings.Replace(live(2, strings.Split(lists[step], " ")...), ":1\n", fmt.Sprintf(":%d\n", step+1), 1)).response(r), nil
			}
			return text(fmt.Sprint(step)).response(r), nil
		})}
		for step = range lists {
			fetch(t, c, listURL)
			for _, name := range strings.Split(lists[step], " ") {
				fetch(t, c, "http://origin.example/live/"+name)
			}
			time.Sleep(2 * time.Second)
		}
		require.Equal(t, map[string]int{"/live/index.m3u8": 4, "/live/a.ts": 2, "/live/b.ts": 1, "/live/c.ts": 1, "/live/d.ts": 1}, asked)
	})
}

// The return of a channel is noticed within a target duration.
func TestAChannelThatReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &encoder{}
		c := &cache.Transport{Base: e, Store: store(t)}
		e.set(1, 0, 3, "")
		fetch(t, c, listURL)
		time.Sleep(2 * time.Second)
		e.set(1, 0, 4, "#EXT-X-ENDLIST\n")
		_, list := fetch(t, c, listURL)
		require.Contains(t, list, "ENDLIST")
		e.set(2, 0, 1, "")
		time.Sleep(2 * time.Second)
		_, list = fetch(t, c, listURL)
		require.Contains(t, list, "#GENERATION:2")
	})
}

// A 404 for a name that a playlist has just listed is forgotten at once. A live playlist that is missing for a while is served
// as it was.
func TestWhatIsMissingForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, gone := map[string]int{}, ""
		c := &cache.Transport{Store: store(t), Base: trip(func(r *http.Request) (*http.Response, error) {
			asked[r.URL.Path]++
			if gone != "" && strings.HasSuffix(r.URL.Path, gone) {
				return reply{status: 404}.response(r), nil
			}
			return text(live(4, "a.ts", "b.ts") + "#EXT-X-PART:DURATION=1,URI=\"c.0.ts\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"c.1.ts\"\n").response(r), nil
		})}
		fetch(t, c, listURL)
		gone = ".ts"
		for path, most := range map[string]int{"/live/b.ts": 10, "/live/c.0.ts": 10, "/live/c.1.ts": 10, "/live/other.ts": 1} {
			for range 20 {
				resp, _ := fetch(t, c, "http://origin.example"+path)
				require.Equal(t, 404, resp.StatusCode)
				time.Sleep(49 * time.Millisecond)
			}
			require.InDelta(t, most, asked[path], 3, path)
		}
		gone = ".m3u8"
		time.Sleep(5 * time.Second)
		resp, body := fetch(t, c, listURL)
		require.Equal(t, 200, resp.StatusCode)
		require.Contains(t, body, "a.ts")
		require.LessOrEqual(t, freshFor(t, resp.Header), time.Duration(0))
		time.Sleep(20 * time.Second)
		resp, _ = fetch(t, c, listURL)
		require.Equal(t, 404, resp.StatusCode, "for three target durations and no longer")
	})
}

// If an origin is slower than its players are patient, the request goes on, and the next viewer gets the answer.
func TestAQuestionSurvivesItsViewers(t *testing.T) {
	for name, row := range map[string]struct {
		url    string
		store  bool
		header []string
		asked  int64
	}{
		"a segment":         {segURL, true, nil, 1},
		"a playlist":        {listURL, true, nil, 1},
		"a blocking reload": {listURL + "?_HLS_msn=7", true, nil, 5},
		"nothing is kept":   {segURL, false, nil, 5},
		"private":           {segURL, true, []string{"Cache-Control", "private"}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &scripted{answer: func(r *http.Request, _ int64) reply {
					select {
					case <-time.After(3 * time.Second):
					case <-r.Context().Done():
					}
					return text(live(60, "a.ts"), row.header...)
				}}
				c := &cache.Transport{Base: o}
				if row.store {
					c.Store = store(t)
				}
				answered := 0
				for range 5 {
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
					resp, err := c.RoundTrip(request(t, ctx, row.url))
					if err == nil {
						_, err = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
					cancel()
					if err == nil {
						answered++
					}
					time.Sleep(time.Second)
				}
				if row.asked == 1 {
					require.Equal(t, 4, answered)
					require.Equal(t, row.asked, o.asked.Load())
				}
				time.Sleep(time.Minute)
				require.Zero(t, c.Stats().Fills)
			})
		})
	}
}

// Few requests go on that nobody waits for, whatever viewers do.
func TestFewQuestionsGoOnForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cache.Transport{Store: store(t), Base: trip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}
		for i := range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_, err := c.RoundTrip(request(t, ctx, fmt.Sprintf("http://o/%d.ts", i)))
			require.Error(t, err)
			cancel()
		}
		synctest.Wait()
		require.Equal(t, 16, c.Stats().Fills)
		_, err := c.PurgePrefix(t.Context(), "http://o/")
		require.NoError(t, err)
		synctest.Wait()
		require.Zero(t, c.Stats().Fills, "purged, they are for nobody at all")
		time.Sleep(time.Minute)
	})
}

// A part that a playlist has hinted at may be held back until it exists, like a blocking reload. Nothing else may.
func TestAHintedPartMayBeHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cache.Transport{Store: store(t), Base: trip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, ".m3u8") {
				return text(live(4, "a.ts") + "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"b.0.ts\"\n").response(r), nil
			}
			select {
			case <-time.After(20 * time.Second):
				return text("part").response(r), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})}
		fetch(t, c, listURL)
		_, body := fetch(t, c, "http://origin.example/live/b.0.ts")
		require.Equal(t, "part", body)
		_, _, err := try(t, c, "http://origin.example/live/c.0.ts")
		require.ErrorIs(t, err, cache.ErrIdle)
	})
}

// A file that a playlist names is a segment, whatever its name.
func TestWhatAPlaylistNamesIsKept(t *testing.T) {
	for name, end := range map[string]string{"live": "", "ended": "#EXT-X-ENDLIST\n"} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			c := &cache.Transport{Store: store(t), Base: trip(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, ".m3u8") {
					return text(live(60, "a.html", "b.js", "c.woff2", "d", "e.html") + end).response(r), nil
				}
				asked++
				if strings.HasSuffix(r.URL.Path, "e.html") {
					return text("<html>not found</html>").response(r), nil
				}
				return text("any text").response(r), nil
			})}
			fetch(t, c, listURL)
			for range 3 {
				for _, name := range []string{"a.html", "b.js", "c.woff2", "d", "e.html", "f.js"} {
					fetch(t, c, "http://origin.example/live/"+name)
				}
			}
			require.Equal(t, 4+3+3, asked)
		})
	}
}

// slow is a Store that takes a while to find segments.
type slow struct{ cache.Store }

func (s slow) Get(ctx context.Context, key string) (*cache.Entry, error) {
	if strings.HasSuffix(key, ".ts") {
		time.Sleep(time.Millisecond)
	}
	return s.Store.Get(ctx, key)
}

// A playlist that begins again looks at requests that are about to be sent.
func TestAnEncoderThatBeginsAgainAmongRequests(t *testing.T) {
	var version atomic.Int64
	c := &cache.Transport{
		Base: trip(func(r *http.Request) (*http.Response, error) {
			if !strings.HasSuffix(r.URL.Path, ".m3u8") {
				return text("segment").response(r), nil
			}
			return text(window(4, 100-50*int(version.Add(1)%2), 2, "")).response(r), nil
		}),
		Store: slow{store(t)},
		TTL:   func(*cache.Entry) time.Duration { return -1 },
	}
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for range 50 {
				_, _, err := try(t, c, "http://o/"+[...]string{"list.m3u8", "live-50.ts"}[i%2])
				assert.NoError(t, err)
			}
		})
	}
	all.Wait()
}

// A player that has all bytes of a playlist acts on it, even before it sees the end. If the playlist says that the encoder has
// begun again, nothing older is served from then on, however long the cache takes to read it.
func TestAPlaylistIsReadBeforeViewersHaveIt(t *testing.T) {
	for name, url := range map[string]string{
		"labelled":       listURL,
		"under any name": "http://origin.example/live/channel",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				generation := 0
				o := trip(func(r *http.Request) (*http.Response, error) {
					if r.URL.String() == url {
						list := live(4, "seg1.ts")
						return text(strings.Replace(list, "SEQUENCE:1", fmt.Sprintf("SEQUENCE:%d", 9-9*generation), 1)).response(r), nil
					}
					return text(fmt.Sprint("generation ", generation), "Content-Type", "video/mp2t").response(r), nil
				})
				c := &cache.Transport{Base: o, Store: store(t), Refs: func([]byte, string) iter.Seq[string] {
					time.Sleep(5 * time.Second)
					return func(func(string) bool) {}
				}}
				for generation = range 2 {
					resp, err := c.RoundTrip(request(t, t.Context(), url))
					require.NoError(t, err)
					_, err = io.ReadFull(resp.Body, make([]byte, resp.ContentLength))
					require.NoError(t, err)
					_, segment := fetch(t, c, segURL)
					resp.Body.Close()
					require.Equal(t, fmt.Sprint("generation ", generation), segment)
					time.Sleep(time.Minute)
				}
			})
		})
	}
}
