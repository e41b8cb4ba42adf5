package cache_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// editions is an origin with an ETag that answers conditions; down makes it fail.
type editions struct {
	scripted
	edition string
	header  []string
	down    int // status; -1: no answer at all
	slow    time.Duration
	log     []string
}

func (e *editions) RoundTrip(r *http.Request) (*http.Response, error) {
	e.asked.Add(1)
	e.log = append(e.log, r.Header.Get("If-None-Match")+r.Header.Get("If-Modified-Since"))
	time.Sleep(e.slow)
	switch {
	case e.down < 0:
		return nil, errors.New("refused")
	case e.down > 0:
		return reply{status: e.down}.response(r), nil
	}
	tag := `"` + e.edition + `"`
	h := append([]string{"Content-Type", "video/mp2t", "ETag", tag}, e.header...)
	if r.Header.Get("If-None-Match") == tag {
		return reply{status: 304, header: head(append(h, "X-New", "1", "Content-Length", "99")...)}.response(r), nil
	}
	return text(e.edition, h...).response(r), nil
}

func TestRevalidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &editions{edition: "one", header: []string{"Cache-Control", "max-age=10"}}
		c := &cache.Transport{Base: o, Store: store(t)}
		fetch(t, c, segURL)
		time.Sleep(11 * time.Second)
		o.slow = time.Second
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				resp, body := fetch(t, c, segURL)
				require.Equal(t, "one", body)
				require.Equal(t, 200, resp.StatusCode)
				require.Equal(t, "0", resp.Header.Get("Age"))
				require.Equal(t, "3", resp.Header.Get("Content-Length"))
				require.Equal(t, "1", resp.Header.Get("X-New"), "the fields of the 304")
				require.Contains(t, resp.Header.Get("Cache-Status"), "fwd=stale; ")
			})
		}
		wg.Wait()
		require.Equal(t, []string{"", `"one"`}, o.log, "one question, and a conditional one")
		time.Sleep(9 * time.Second)
		resp, _ := fetch(t, c, segURL)
		require.Equal(t, "9", resp.Header.Get("Age"))
		require.Len(t, o.log, 2)

		time.Sleep(2 * time.Second)
		o.edition = "two"
		_, body := fetch(t, c, segURL)
		require.Equal(t, "two", body)
		require.EqualValues(t, 1, c.Stats().Revalidations)
		require.EqualValues(t, 2, c.Stats().Stored)
	})
}

func TestNoCacheIsKeptToBeAskedAbout(t *testing.T) {
	o := &editions{edition: "one", header: []string{"Cache-Control", "no-cache"}}
	c := &cache.Transport{Base: o, Store: store(t)}
	for range 3 {
		_, body := fetch(t, c, segURL)
		require.Equal(t, "one", body)
	}
	require.Equal(t, []string{"", `"one"`, `"one"`}, o.log)
	require.EqualValues(t, 3, c.Stats().OriginBytes)
}

func TestRevalidationByDate(t *testing.T) {
	const at = "Mon, 02 Jan 2006 15:04:05 GMT"
	var log []string
	c := &cache.Transport{Store: store(t), Base: trip(func(r *http.Request) (*http.Response, error) {
		log = append(log, r.Header.Get("If-Modified-Since"))
		if log[len(log)-1] == at {
			return reply{status: 304}.response(r), nil
		}
		return text("one", "Content-Type", "video/mp2t", "Last-Modified", at, "Cache-Control", "max-age=0").response(r), nil
	})}
	for range 2 {
		_, body := fetch(t, c, segURL)
		require.Equal(t, "one", body)
	}
	require.Equal(t, []string{"", at}, log)
}

// A 304 about something else does not confirm the stored answer. After a 304 that turns private, nobody else gets it.
func TestOdd304(t *testing.T) {
	for name, row := range map[string]struct {
		header []string
		asked  int64
	}{
		"another tag": {[]string{"ETag", `"other"`}, 3},
		"private":     {[]string{"ETag", `"one"`, "Cache-Control", "private"}, 3},
		"weak":        {[]string{"ETag", `W/"one"`}, 2},
		"no tag":      {nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			o := &scripted{}
			o.answer = func(r *http.Request, n int64) reply {
				if r.Header.Get("If-None-Match") != "" {
					return reply{status: 304, header: head(row.header...)}
				}
				return text("one", "Content-Type", "video/mp2t", "ETag", `"one"`, "Cache-Control", "no-cache")
			}
			c := &cache.Transport{Base: o, Store: store(t)}
			for range 2 {
				resp, body := fetch(t, c, segURL)
				require.Equal(t, "one", body)
				require.Equal(t, 200, resp.StatusCode)
			}
			require.Equal(t, row.asked, o.asked.Load())
		})
	}
}

func TestStaleIfError(t *testing.T) {
	for name, row := range map[string]struct {
		control string
		limit   time.Duration
		wait    time.Duration
		stale   bool
	}{
		"as long again":          {"max-age=10", 0, 19 * time.Second, true},
		"longer":                 {"max-age=10", 0, 21 * time.Second, false},
		"limit":                  {"max-age=10", time.Minute, 69 * time.Second, true},
		"never":                  {"max-age=10", -1, 11 * time.Second, false},
		"origin says more":       {"max-age=10, stale-if-error=100", -1, 109 * time.Second, true},
		"origin says less":       {"max-age=10, stale-if-error=5", time.Minute, 16 * time.Second, false},
		"origin says not at all": {"max-age=10, stale-if-error=0", time.Minute, 11 * time.Second, false},
		"must-revalidate":        {"max-age=10, must-revalidate", time.Minute, 11 * time.Second, false},
		"s-maxage":               {"s-maxage=10", time.Minute, 11 * time.Second, false},
	} {
		for _, down := range []int{-1, 500, 503, 504} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := &editions{edition: "one", header: []string{"Cache-Control", row.control}}
					c := &cache.Transport{Base: o, Store: store(t), StaleIfError: row.limit}
					fetch(t, c, segURL)
					time.Sleep(row.wait)
					o.down = down
					resp, body, err := try(t, c, segURL)
					if !row.stale {
						require.True(t, err != nil || resp.StatusCode == down)
						return
					}
					require.NoError(t, err)
					require.Equal(t, "one", body)
					require.True(t, strings.HasPrefix(resp.Header.Get("Cache-Status"), "hlsproxy; fwd=stale"))
					require.EqualValues(t, 1, c.Stats().Stale)

					o.slow = time.Hour // while it fails, nobody waits for its next failure
					begin := time.Now()
					resp, _ = fetch(t, c, segURL)
					require.Zero(t, time.Since(begin))
					require.Equal(t, "hlsproxy; hit; detail=stale", resp.Header.Get("Cache-Status"))
					time.Sleep(2 * time.Hour)
				})
			})
		}
	}
}

func TestStaleWhileRevalidate(t *testing.T) {
	for name, control := range map[string]string{"as the origin says": "max-age=10, stale-while-revalidate=20", "limit": "max-age=10"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &editions{edition: "one", header: []string{"Cache-Control", control}}
				c := &cache.Transport{Base: o, Store: store(t)}
				if name == "limit" {
					c.StaleWhileRevalidate = 20 * time.Second
				}
				fetch(t, c, segURL)
				time.Sleep(25 * time.Second)
				o.edition, o.slow = "two", time.Second
				for range 3 {
					resp, body := fetch(t, c, segURL)
					require.Equal(t, "one", body)
					require.Equal(t, "25", resp.Header.Get("Age"))
				}
				time.Sleep(2 * time.Second)
				_, body := fetch(t, c, segURL)
				require.Equal(t, "two", body)
				require.Equal(t, []string{"", `"one"`}, o.log)

				time.Sleep(40 * time.Second)
				o.edition, o.slow = "three", 0
				_, body = fetch(t, c, segURL)
				require.Equal(t, "three", body, "too old to be served while waiting")
			})
		})
	}
}

func TestARefreshThatFailsLeavesTheStaleAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &editions{edition: "one", header: []string{"Cache-Control", "max-age=10, stale-while-revalidate=20, stale-if-error=0"}}
		c := &cache.Transport{Base: o, Store: store(t)}
		fetch(t, c, segURL)
		time.Sleep(15 * time.Second)
		o.down = -1
		_, body := fetch(t, c, segURL)
		require.Equal(t, "one", body)
		synctest.Wait()
		require.EqualValues(t, 1, c.Stats().Errors)
		o.down = 0
		fetch(t, c, segURL)
		synctest.Wait()
		resp, _ := fetch(t, c, segURL)
		require.Equal(t, "hlsproxy; hit", resp.Header.Get("Cache-Status"))
	})
}

func TestVariantsAreKeptSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &scripted{answer: func(r *http.Request, _ int64) reply {
			return text(r.Header.Get("Accept-Language"), "Content-Type", "video/mp2t", "Vary", "Accept-Language", "Cache-Control", "max-age=10")
		}}
		c := &cache.Transport{Base: o, Store: store(t)}
		for range 3 {
			for _, lang := range []string{"de", "en", ""} {
				_, body := fetch(t, c, segURL, "Accept-Language", lang)
				require.Equal(t, lang, body)
			}
		}
		require.EqualValues(t, 3, o.asked.Load())
		time.Sleep(11 * time.Second)
		_, body := fetch(t, c, segURL, "Accept-Language", "de")
		require.Equal(t, "de", body)
		require.EqualValues(t, 4, o.asked.Load())
	})
}

// Viewers who wait for the request of another get an answer of their own if it varies by what they sent.
func TestWaitersOfAnotherVariant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &scripted{answer: func(r *http.Request, _ int64) reply {
			time.Sleep(time.Second)
			return text(r.Header.Get("Accept-Language"), "Content-Type", "video/mp2t", "Vary", "Accept-Language")
		}}
		c := &cache.Transport{Base: o, Store: store(t)}
		var wg sync.WaitGroup
		for _, lang := range []string{"de", "en", "de"} {
			wg.Go(func() {
				_, body := fetch(t, c, segURL, "Accept-Language", lang)
				require.Equal(t, lang, body)
			})
		}
		wg.Wait()
	})
}

func TestLivePlaylistIsAskedForOncePerHalfTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &scripted{answer: func(*http.Request, int64) reply {
			time.Sleep(50 * time.Millisecond)
			return text(live(4, "a.ts"), "Content-Type", "application/x-mpegurl")
		}}
		c := &cache.Transport{Base: o, Store: store(t)}
		for range 1000 {
			go fetch(t, c, listURL)
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		require.EqualValues(t, 5, o.asked.Load())
	})
}

// 500 viewers wait for the same part: that is one request, held as long as needed. The next part is another request.
func TestBlockingReloadsAreCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &scripted{answer: func(r *http.Request, _ int64) reply {
			time.Sleep(20 * time.Second)
			return text(live(4, "1.ts", "2.ts", "3.ts", "4.ts", "5.ts?"+r.URL.RawQuery), "Content-Type", "application/x-mpegurl")
		}}
		c := &cache.Transport{Base: o, Store: store(t)}
		var wg sync.WaitGroup
		for _, part := range []string{"?_HLS_msn=5&_HLS_part=1", "?_HLS_msn=5&_HLS_part=2"} {
			for range 500 {
				wg.Go(func() {
					_, body := fetch(t, c, listURL+part)
					require.Contains(t, body, part[1:])
				})
			}
		}
		wg.Wait()
		require.EqualValues(t, 2, o.asked.Load())
		time.Sleep(23 * time.Second)
		resp, _ := fetch(t, c, listURL+"?_HLS_msn=5&_HLS_part=1")
		require.Equal(t, "hlsproxy; hit", resp.Header.Get("Cache-Status"))
		require.Equal(t, "23", resp.Header.Get("Age"))
		time.Sleep(time.Second)
		fetch(t, c, listURL+"?_HLS_msn=5&_HLS_part=1")
		require.EqualValues(t, 3, o.asked.Load())
	})
}

// At the live edge, a missing segment appears in a moment: a 404 is kept for a second and never served stale.
func TestMissingSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &scripted{answer: func(_ *http.Request, n int64) reply {
			switch n {
			case 1:
				return reply{status: 404, header: head("Cache-Control", "max-age=60, stale-while-revalidate=60, stale-if-error=60")}
			case 2:
				return reply{status: 503, header: head("Retry-After", "7")}
			}
			return text("segment", "Content-Type", "video/mp2t")
		}}
		c := &cache.Transport{Base: o, Store: store(t), StaleWhileRevalidate: time.Minute, StaleIfError: time.Minute}
		for _, row := range []struct {
			status int
			asked  int64
			wait   time.Duration
		}{{404, 1, 900 * time.Millisecond}, {404, 1, 200 * time.Millisecond}, {503, 2, 0}, {200, 3, 0}} {
			resp, _ := fetch(t, c, segURL)
			require.Equal(t, row.status, resp.StatusCode)
			require.Equal(t, row.asked, o.asked.Load())
			if row.status == 503 {
				require.Equal(t, "7", resp.Header.Get("Retry-After"))
			}
			time.Sleep(row.wait)
		}
	})
}
