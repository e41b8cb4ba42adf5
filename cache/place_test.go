package cache_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shelf is an origin with segments of 1000 bytes that come when the test sends them. On other hosts than "o", no header comes.
type shelf struct {
	mu    sync.Mutex
	asked map[string]context.Context // by path: of the request that was sent last
	sends map[string]*pipe
}

func (s *shelf) RoundTrip(r *http.Request) (*http.Response, error) {
	p := newPipe()
	s.mu.Lock()
	if s.asked == nil {
		s.asked, s.sends = map[string]context.Context{}, map[string]*pipe{}
	}
	s.asked[r.URL.Path], s.sends[r.URL.Path] = r.Context(), p
	s.mu.Unlock()
	if r.URL.Host != "o" {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return reply{header: head("Content-Type", "video/mp2t"), body: p, length: 1000}.response(r), nil
}

func (s *shelf) send(path string, n int) { s.sends[path].send(make([]byte, n)) }

// finish sends all of a segment, and looks that its viewer gets it.
func (s *shelf) finish(t *testing.T, path string, viewer io.Reader) {
	t.Helper()
	s.send(path, 1000)
	s.sends[path].send(io.EOF)
	body, err := io.ReadAll(viewer)
	require.NoError(t, err)
	require.Len(t, body, 1000)
}

// running lists those of the paths whose requests go on.
func (s *shelf) running(paths ...string) (on []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, path := range paths {
		if ctx := s.asked[path]; ctx != nil && ctx.Err() == nil {
			on = append(on, path)
		}
	}
	return on
}

// open begins to watch and returns the body.
func open(t *testing.T, c *cache.Transport, url string) io.ReadCloser {
	t.Helper()
	resp, err := c.RoundTrip(request(t, t.Context(), url))
	require.NoError(t, err)
	return resp.Body
}

// endAll ends what goes on for nobody.
func endAll(t *testing.T, c *cache.Transport) {
	for _, host := range []string{"o", "radio", "lists"} {
		_, err := c.PurgePrefix(context.Background(), "http://"+host+"/")
		require.NoError(t, err)
	}
	synctest.Wait()
	require.Zero(t, c.Stats().Fills)
}

// openAndLeave is for a viewer that has enough of it when the header has come, or after a second.
func openAndLeave(t *testing.T, c *cache.Transport, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	resp, err := c.RoundTrip(request(t, ctx, url))
	if err == nil {
		resp.Body.Close()
	}
}

// However much goes on that nobody waits for, viewers get all of MaxFills, and no more.
func TestWhatNobodyWaitsForTakesNoPlaceFromViewers(t *testing.T) {
	const most = 8
	for name, row := range map[string]struct {
		leave func(t *testing.T, c *cache.Transport, i int)
		stay  int
	}{
		"left after the header": {func(t *testing.T, c *cache.Transport, i int) {
			openAndLeave(t, c, fmt.Sprintf("http://o/left-%d.ts", i))
		}, most / 4},
		"left before the header": {func(t *testing.T, c *cache.Transport, i int) {
			openAndLeave(t, c, fmt.Sprintf("http://silent-%d/left-%d.ts", i, i))
		}, most / 4},
		"on air": {func(t *testing.T, c *cache.Transport, i int) {
			body := open(t, c, fmt.Sprintf("http://radio/%d", i))
			go io.Copy(io.Discard, body)
			time.Sleep(10 * time.Second)
			body.Close()
		}, most / 4},
		"renewed after it was served stale": {func(t *testing.T, c *cache.Transport, i int) {
			url := fmt.Sprintf("http://lists/%d.m3u8", i)
			fetch(t, c, url)
			time.Sleep(10 * time.Second)
			resp, _ := fetch(t, c, url)
			require.Equal(t, "hlsproxy; hit; detail=stale", resp.Header.Get("Cache-Status"))
		}, most},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, radio, lists := &shelf{}, onAir(20*time.Millisecond, "audio/aac", frame), map[string]bool{}
				c := &cache.Transport{
					Store: store(t), MaxFills: most, Idle: 24 * time.Hour, MinRate: -1, Linger: 24 * time.Hour,
					Base: trip(func(r *http.Request) (*http.Response, error) {
						first := !lists[r.URL.Path]
						switch {
						case r.URL.Host == "radio":
							return radio.RoundTrip(r)
						case r.URL.Host == "lists" && first:
							lists[r.URL.Path] = true
							return text(live(10, "a.ts"), "Cache-Control", "max-age=5, stale-while-revalidate=3600").response(r), nil
						}
						return o.RoundTrip(r)
					}),
				}
				defer endAll(t, c)
				for i := range 2 * most {
					row.leave(t, c, i)
					synctest.Wait()
				}
				require.Equal(t, row.stay, c.Stats().Fills)
				var watched []string
				for i := range most {
					watched = append(watched, fmt.Sprintf("/watched-%d.ts", i))
					defer open(t, c, "http://o"+watched[i]).Close()
					if i < most-1 {
						row.leave(t, c, 100+i)
					}
					synctest.Wait()
					require.LessOrEqual(t, c.Stats().Fills, most)
				}
				require.Equal(t, most, c.Stats().Fills)
				require.Equal(t, watched, o.running(watched...))
				_, err := c.RoundTrip(request(t, t.Context(), "http://o/one-more.ts"))
				require.ErrorIs(t, err, cache.ErrBusy)
			})
		})
	}
}

// What has come farthest goes on.
func TestWhatIsNearestToItsEndGoesOn(t *testing.T) {
	for name, row := range map[string]struct {
		come  []int // of 1000 bytes, a second later than those before
		apart time.Duration
		stay  []int // a quarter of MaxFills of them
		last  int   // the one that stays when there is room for one
	}{
		"by their bytes":  {[]int{900, 100, 500, 0, 700, 10}, 0, []int{0, 1, 2, 4}, 0},
		"by their rate":   {[]int{500, 500, 100, 500, 500, 100}, time.Second, []int{0, 1, 3, 4}, 4},
		"the older ones":  {[]int{0, 0, 0, 0, 0, 0}, time.Second, []int{0, 1, 2, 3}, 0},
		"silent too long": {[]int{10, 10, 0, 0, 10, 10}, time.Second, []int{0, 1, 4, 5}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &shelf{}
				c := &cache.Transport{Store: store(t), MaxFills: 16, Base: o, Idle: time.Hour}
				defer endAll(t, c)
				var bodies []io.ReadCloser
				var paths, stay []string
				for i := range row.come {
					paths = append(paths, fmt.Sprintf("/%d.ts", i))
					bodies = append(bodies, open(t, c, "http://o"+paths[i]))
					time.Sleep(row.apart)
				}
				for i, n := range row.come {
					if n > 0 {
						o.send(paths[i], n)
					}
				}
				time.Sleep(time.Second)
				for _, body := range bodies {
					body.Close()
				}
				synctest.Wait()
				for _, i := range row.stay {
					stay = append(stay, paths[i])
				}
				require.Equal(t, stay, o.running(paths...))
				require.EqualValues(t, len(paths)-4, c.Stats().Abandoned)

				for i := range 15 {
					defer open(t, c, fmt.Sprintf("http://o/watched-%d.ts", i)).Close()
				}
				synctest.Wait()
				last := paths[row.last]
				require.Equal(t, []string{last}, o.running(paths...))
				o.send(last, 1000-row.come[row.last])
				o.sends[last].send(io.EOF)
				synctest.Wait()
				resp, body := fetch(t, c, "http://o"+last)
				require.Len(t, body, 1000)
				require.Equal(t, "hlsproxy; hit", resp.Header.Get("Cache-Status"))
			})
		})
	}
}

// What others have left is kept once a viewer asks for it.
func TestWhatIsWatchedAgainIsNotGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &shelf{}
		c := &cache.Transport{Store: store(t), MaxFills: 4, Base: o}
		defer endAll(t, c)
		openAndLeave(t, c, "http://o/again.ts")
		again := open(t, c, "http://o/again.ts")
		for i := range 10 {
			openAndLeave(t, c, fmt.Sprintf("http://o/left-%d.ts", i))
		}
		for i := range 3 {
			defer open(t, c, fmt.Sprintf("http://o/watched-%d.ts", i)).Close()
		}
		_, err := c.RoundTrip(request(t, t.Context(), "http://o/other.ts"))
		require.ErrorIs(t, err, cache.ErrBusy)
		o.finish(t, "/again.ts", again)
	})
}

// What viewers have left gives way before what is renewed for them.
func TestARenewalGoesOnLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, listed := &shelf{}, false
		c := &cache.Transport{Store: store(t), MaxFills: 4, Idle: time.Hour, Base: trip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/list.m3u8" && !listed {
				listed = true
				return text(live(10, "a.ts"), "Cache-Control", "max-age=5, stale-while-revalidate=3600").response(r), nil
			}
			return o.RoundTrip(r)
		})}
		defer endAll(t, c)
		fetch(t, c, "http://lists/list.m3u8")
		time.Sleep(10 * time.Second)
		fetch(t, c, "http://lists/list.m3u8") // stale
		left := open(t, c, "http://o/left.ts")
		synctest.Wait()
		o.send("/left.ts", 999)
		synctest.Wait()
		left.Close()
		paths := []string{"/list.m3u8", "/left.ts"}
		for i, on := range [][]string{paths, paths, paths[:1], nil} {
			defer open(t, c, fmt.Sprintf("http://o/watched-%d.ts", i)).Close()
			synctest.Wait()
			require.Equal(t, on, o.running(paths...), "%d viewers", i+1)
		}
		resp, _ := fetch(t, c, "http://lists/list.m3u8")
		require.Equal(t, "hlsproxy; hit; detail=stale", resp.Header.Get("Cache-Status"))
	})
}

// A viewer who needs a stream beside a broadcast gets a place as well.
func TestAStreamBesideABroadcastGetsThePlaceOfWhatWasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		radio := onAir(20*time.Millisecond, "video/webm", func(n int) []byte { return fmt.Appendf(nil, "\x1a\x45\xdf\xa3%09d ", n) })
		o := &shelf{}
		c := &cache.Transport{Store: store(t), MaxFills: 2, Base: trip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/stream" {
				return radio.RoundTrip(r)
			}
			return o.RoundTrip(r)
		})}
		go io.Copy(io.Discard, tune(t, c, "http://o/stream"))
		time.Sleep(10 * time.Second)
		openAndLeave(t, c, "http://o/left.ts")
		listen(t, tune(t, c, "http://o/stream"), 10)
		require.Empty(t, o.running("/left.ts"))
	})
}

// What was purged is for nobody, if nobody reads it.
func TestWhatWasLeftEndsWhenItIsPurged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &shelf{}
		c := &cache.Transport{Store: store(t), Base: o}
		defer endAll(t, c)
		openAndLeave(t, c, "http://o/left.ts")
		defer open(t, c, "http://o/read.ts").Close()
		_, err := c.PurgePrefix(t.Context(), "http://o/")
		require.NoError(t, err)
		require.Equal(t, []string{"/read.ts"}, o.running("/left.ts", "/read.ts"))
		require.Equal(t, 1, c.Stats().Fills)
	})
}

// So is what the cache itself asks for.
func TestARenewalEndsWhenItIsPurged(t *testing.T) {
	for name, host := range map[string]string{"before the header": "lists", "within the body": "o"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, listed := &shelf{}, false
				c := &cache.Transport{Store: store(t), Base: trip(func(r *http.Request) (*http.Response, error) {
					if !listed {
						listed = true
						return text("old", "Cache-Control", "max-age=5, stale-while-revalidate=3600").response(r), nil
					}
					return o.RoundTrip(r)
				})}
				url := "http://" + host + "/a.ts"
				fetch(t, c, url)
				time.Sleep(10 * time.Second)
				fetch(t, c, url) // stale
				synctest.Wait()
				require.Equal(t, []string{"/a.ts"}, o.running("/a.ts"))
				_, err := c.Purge(t.Context(), url)
				require.NoError(t, err)
				synctest.Wait()
				require.Empty(t, o.running("/a.ts"))
				require.Zero(t, c.Stats().Fills)
			})
		})
	}
}

// A viewer who joins a renewal keeps it, whatever happens to it otherwise.
func TestAViewerKeepsARenewalThatIsPurged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, listed := &shelf{}, false
		c := &cache.Transport{Store: store(t), MaxFills: 2, Base: trip(func(r *http.Request) (*http.Response, error) {
			if !listed {
				listed = true
				return text("old", "Cache-Control", "max-age=5, stale-while-revalidate=20").response(r), nil
			}
			return o.RoundTrip(r)
		}), Idle: time.Hour}
		defer endAll(t, c)
		fetch(t, c, "http://o/a.ts")
		time.Sleep(10 * time.Second)
		fetch(t, c, "http://o/a.ts") // stale
		time.Sleep(time.Minute)
		joined := open(t, c, "http://o/a.ts")
		_, err := c.Purge(t.Context(), "http://o/a.ts")
		require.NoError(t, err)
		defer open(t, c, "http://o/b.ts").Close()
		_, err = c.RoundTrip(request(t, t.Context(), "http://o/c.ts"))
		require.ErrorIs(t, err, cache.ErrBusy)
		o.finish(t, "/a.ts", joined)
	})
}

// With as many viewers as there are places, nobody is refused, however many answers they leave.
func TestNobodyIsRefusedAmongViewersWhoLeave(t *testing.T) {
	const most = 8
	base := trip(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "3.ts") {
			time.Sleep(time.Millisecond)
		}
		body := &slowly{ctx: r.Context(), every: time.Millisecond / 10, left: 1000}
		if r.URL.Host != "o" {
			body.every = time.Second / 10 // it goes on after its viewer has left
		}
		return reply{header: head("Content-Type", "video/mp2t"), body: body, length: 1000}.response(r), nil
	})
	c := &cache.Transport{Store: store(t), MaxFills: most, Base: base}
	var all sync.WaitGroup
	for viewer := range most {
		all.Go(func() {
			for i := range 100 {
				if viewer > 0 { // it reads to the end
					_, body, err := try(t, c, fmt.Sprintf("http://o/%d-%d.ts", viewer, i))
					if assert.NoError(t, err) {
						assert.Len(t, body, 1000)
					}
					continue
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%3)*300*time.Microsecond+time.Millisecond/10)
				resp, err := c.RoundTrip(request(t, ctx, fmt.Sprintf("http://host%d/%d-%d.ts", i, viewer, i)))
				if err == nil {
					resp.Body.Close()
				} else {
					assert.ErrorIs(t, err, context.DeadlineExceeded)
				}
				cancel()
			}
		})
	}
	all.Wait()
	require.Eventually(t, func() bool { return c.Stats().Fills == 0 }, time.Minute, time.Millisecond)
}

// slowly is a body that comes in ten pieces.
type slowly struct {
	ctx   context.Context
	every time.Duration
	left  int
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(s.every):
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
	n := min(len(p), 100, s.left)
	s.left -= n
	return n, nil
}
