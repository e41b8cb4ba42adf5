package cache_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// frameNow is the number of the first frame that a new viewer gets now.
func frameNow(t *testing.T, c *cache.Transport, url string) (n int) {
	t.Helper()
	body := tune(t, c, url)
	defer body.Close()
	_, err := fmt.Sscanf(string(listen(t, body, 400)[10:]), "%09d", &n)
	require.NoError(t, err)
	return n
}

// What a playlist names is a segment for a minute, unless another host's playlist says so of what was on air, or it was on air
// for a minute. A segment takes less.
func TestWhatAPlaylistNamesGoesOnAir(t *testing.T) {
	const every = 20 * time.Millisecond
	for name, row := range map[string]struct {
		list   string
		before time.Duration // that the radio was listened to; 0: it was not
		onAir  time.Duration
	}{
		"not named":                              {"", 0, 5 * time.Second},
		"by its own host":                        {"http://o/list.m3u8", 0, time.Minute},
		"by another host":                        {"http://other/list.m3u8", 0, time.Minute},
		"by its own host, after it was on air":   {"http://o/list.m3u8", 10 * time.Second, time.Minute},
		"by another host, after it was on air":   {"http://other/list.m3u8", 10 * time.Second, 5 * time.Second},
		"by its own host, after a minute on air": {"http://o/list.m3u8", 70 * time.Second, 5 * time.Second},
		"by another host, after half an hour":    {"http://other/list.m3u8", 30 * time.Minute, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				radio := onAir(every, "audio/aac", frame)
				c := &cache.Transport{Store: store(t), Base: trip(func(r *http.Request) (*http.Response, error) {
					if strings.HasSuffix(r.URL.Path, ".m3u8") {
						return text(live(6, "http://o/radio")).response(r), nil
					}
					return radio.RoundTrip(r)
				})}
				if row.before > 0 {
					body := tune(t, c, "http://o/radio")
					go io.Copy(io.Discard, body)
					time.Sleep(row.before)
					body.Close()
					synctest.Wait()
					require.Zero(t, c.Stats().Fills)
				}
				if row.list != "" {
					fetch(t, c, row.list)
				}
				asked := radio.asked.Load()
				go io.Copy(io.Discard, tune(t, c, "http://o/radio"))
				time.Sleep(row.onAir - time.Second)
				require.Zero(t, frameNow(t, c, "http://o/radio"))
				time.Sleep(2 * time.Second)
				require.InDelta(t, (row.onAir+time.Second)/every, frameNow(t, c, "http://o/radio"), 2)
				require.EqualValues(t, 1, radio.asked.Load()-asked)
			})
		})
	}
}

// A segment on another host than its playlist is one, however long it takes.
func TestASlowSegmentOfAnotherHostIsNoBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cache.Transport{Store: store(t), Base: trip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, ".m3u8") {
				return text(live(30, "http://cdn/slow.aac")).response(r), nil
			}
			body := io.LimitReader(&station{ctx: r.Context(), every: 200 * time.Millisecond, unit: frame}, 150*400)
			return reply{header: head("Content-Type", "audio/aac"), body: body, length: -1}.response(r), nil
		})}
		fetch(t, c, "http://o/list.m3u8")
		first := tune(t, c, "http://cdn/slow.aac")
		time.Sleep(20 * time.Second)
		require.Zero(t, frameNow(t, c, "http://cdn/slow.aac"))
		_, err := io.Copy(io.Discard, first)
		require.NoError(t, err)
		require.NotZero(t, c.Stats().Stored)
	})
}

// A hint lengthens no wait for what is there already, nor for what was on air: anybody can write a playlist.
func TestAHintLengthensNoOtherWait(t *testing.T) {
	for name, row := range map[string]struct {
		before func(t *testing.T, c *cache.Transport)
		waits  time.Duration
	}{
		"what is not there yet": {func(*testing.T, *cache.Transport) {}, time.Minute},
		"what is there already": {func(t *testing.T, c *cache.Transport) { fetch(t, c, "http://o/there.ts") }, 10 * time.Second},
		"what was on air": {func(t *testing.T, c *cache.Transport) {
			body := tune(t, c, "http://o/radio")
			go io.Copy(io.Discard, body)
			time.Sleep(10 * time.Second)
			body.Close()
		}, 10 * time.Second},
		"what was hinted at long ago": {func(*testing.T, *cache.Transport) { time.Sleep(3 * time.Minute) }, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				silent := false
				c := &cache.Transport{Store: store(t), StaleIfError: -1, Base: trip(func(r *http.Request) (*http.Response, error) {
					switch {
					case strings.HasSuffix(r.URL.Path, ".m3u8"):
						hint := `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="http://o/%s"` + "\n"
						return text(live(6, "a.ts") + fmt.Sprintf(hint+hint, "there.ts", "radio")).response(r), nil
					case silent:
						<-r.Context().Done()
						return nil, r.Context().Err()
					case r.URL.Path == "/there.ts":
						return text("there", "Cache-Control", "max-age=1", "Etag", `"1"`).response(r), nil
					}
					return onAir(20*time.Millisecond, "audio/aac", frame).RoundTrip(r)
				})}
				url := "http://o/there.ts"
				if name == "what was on air" {
					url = "http://o/radio"
				}
				hint := func() { fetch(t, c, "http://other/list.m3u8") }
				if row.waits == time.Minute || name == "what was hinted at long ago" {
					hint()
					row.before(t, c)
				} else {
					row.before(t, c)
					hint()
				}
				time.Sleep(2 * time.Second)
				silent = true
				asked := time.Now()
				_, _, err := try(t, c, url)
				require.ErrorIs(t, err, cache.ErrIdle)
				require.Equal(t, row.waits, time.Since(asked))
			})
		})
	}
}

// A stream that is not read as it comes at first, as there is no memory for more than its viewer has taken, is broadcast all
// the same when it is.
func TestABroadcastMayBeginLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every = 2 * time.Millisecond
		stall := make(chan struct{})
		radio, film := onAir(every, "audio/aac", frame), ofZeros(9<<20, stall)
		c := &cache.Transport{Store: cache.NewMemory(16 << 20), Base: trip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/film.ts" {
				return film(r)
			}
			return radio.RoundTrip(r)
		})}
		go io.Copy(io.Discard, tune(t, c, "http://o/film.ts"))
		synctest.Wait()
		first := tune(t, c, "http://o/radio")
		time.Sleep(4 * time.Second)
		require.Less(t, c.Stats().OriginBytes, uint64(9<<20+512<<10), "the origin waits for the viewer")
		go io.Copy(io.Discard, first)
		close(stall)
		time.Sleep(2 * time.Second)
		require.Zero(t, frameNow(t, c, "http://o/radio"))
		time.Sleep(20 * time.Second)
		require.Greater(t, frameNow(t, c, "http://o/radio"), int(20*time.Second/every))
		require.EqualValues(t, 1, radio.asked.Load())
	})
}

// A viewer comes before a fill goes on air and begins to read too late: its first byte has left the ring. It gets a stream of
// its own, and no body that breaks off.
func TestAViewerWhoBeginsLateIsNotCutOff(t *testing.T) {
	const every = 20 * time.Millisecond
	for name, row := range map[string]struct {
		comes, probe time.Duration
		etag         string
	}{
		"its range has left the ring":        {time.Second, 30 * time.Second, `"1"`},
		"the only key frame has left it":     {4500 * time.Millisecond, 0, ""},
		"so has that of its range, which is": {4500 * time.Millisecond, 30 * time.Second, `"1"`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				channel := onAir(every, "video/x-flv", flvTag(10_000))
				asked := 0
				c := &cache.Transport{Store: store(t), Ring: 256 << 10, Idle: time.Minute, Base: trip(func(r *http.Request) (*http.Response, error) {
					if r.Header.Get("Range") == "bytes=0-0" {
						time.Sleep(row.probe)
						part := head("Etag", row.etag, "Content-Range", "bytes 0-0/9000000")
						return reply{status: http.StatusPartialContent, header: part, body: strings.NewReader("F")}.response(r), nil
					}
					asked++
					resp, err := channel.RoundTrip(r)
					if row.etag != "" {
						resp.Header.Set("Etag", row.etag)
					}
					return resp, err
				})}
				go io.Copy(io.Discard, tune(t, c, "http://o/channel.flv"))
				time.Sleep(row.comes)
				r := request(t, t.Context(), "http://o/channel.flv", "Range", "bytes=4000-")
				resp, err := c.RoundTrip(r)
				require.NoError(t, err)
				defer resp.Body.Close()
				require.Equal(t, "FLV", string(listen(t, resp.Body, 4000*100)[:3]))
				require.Equal(t, 2, asked)
			})
		})
	}
}

// Streams of viewers of their own beside a broadcast take places of MaxFills until they are closed.
func TestStreamsBesideABroadcastAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := onAir(20*time.Millisecond, "video/webm", func(n int) []byte { return fmt.Appendf(nil, "\x1a\x45\xdf\xa3%09d ", n) })
		c := &cache.Transport{Base: o, Store: store(t), MaxFills: 3}
		go io.Copy(io.Discard, tune(t, c, "http://o/stream"))
		time.Sleep(10 * time.Second)
		second, third := tune(t, c, "http://o/stream"), tune(t, c, "http://o/stream")
		go io.Copy(io.Discard, third)
		for range 3 {
			_, _, err := try(t, c, "http://o/stream")
			require.ErrorIs(t, err, cache.ErrBusy)
			_, _, err = try(t, c, "http://o/other")
			require.ErrorIs(t, err, cache.ErrBusy)
		}
		second.Close()
		second.Close()
		listen(t, tune(t, c, "http://o/stream"), 10)
		_, _, err := try(t, c, "http://o/stream")
		require.ErrorIs(t, err, cache.ErrBusy)
		require.EqualValues(t, 4, o.asked.Load())
	})
}

// Fetches ahead leave MaxFills to viewers: a stream beside a broadcast takes a place.
func TestStreamsBesideABroadcastLeaveNoPlaceToFetchAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		radio := onAir(20*time.Millisecond, "video/webm", func(n int) []byte { return fmt.Appendf(nil, "\x1a\x45\xdf\xa3%09d ", n) })
		o := newSite(map[string]string{"/list.m3u8": film(9)})
		c := ahead(t, o, 2)
		c.MaxFills, c.Base = 2, trip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/stream" {
				return radio.RoundTrip(r)
			}
			return o.RoundTrip(r)
		})
		settled(t, c, "http://o/list.m3u8")
		settled(t, c, "http://o/0.ts")
		require.Equal(t, paths(0, 2), o.took())
		go io.Copy(io.Discard, tune(t, c, "http://o/stream"))
		time.Sleep(10 * time.Second)
		beside := tune(t, c, "http://o/stream")
		settled(t, c, "http://o/2.ts")
		require.Empty(t, o.took())
		beside.Close()
		time.Sleep(time.Minute)
		settled(t, c, "http://o/2.ts")
		require.Equal(t, paths(3, 4), o.took())
	})
}

// A hook that ends the goroutine of a viewer of such a stream keeps no place.
func TestAStreamBesideABroadcastGivesItsPlaceBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := onAir(20*time.Millisecond, "video/webm", func(n int) []byte { return fmt.Appendf(nil, "\x1a\x45\xdf\xa3%09d ", n) })
		c := &cache.Transport{Store: store(t), MaxFills: 2, Base: trip(func(r *http.Request) (*http.Response, error) {
			resp, err := o.RoundTrip(r)
			if o.asked.Load() > 1 {
				resp.Body = exits{resp.Body}
			}
			return resp, err
		})}
		go io.Copy(io.Discard, tune(t, c, "http://o/stream"))
		time.Sleep(10 * time.Second)
		for range 3 {
			resp, err := c.RoundTrip(request(t, t.Context(), "http://o/stream"))
			require.NoError(t, err)
			go resp.Body.Close()
			synctest.Wait()
		}
	})
}

// exits is a body whose Close ends the goroutine.
type exits struct{ io.ReadCloser }

func (e exits) Close() error {
	e.ReadCloser.Close()
	runtime.Goexit()
	return nil
}
