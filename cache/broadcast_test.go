package cache_test

import (
	"bytes"
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
	"github.com/stretchr/testify/require"
)

// station sends units of its stream as long as the request lives.
type station struct {
	ctx   context.Context
	every time.Duration
	unit  func(n int) []byte
	n     int
	rest  []byte
	gone  func()
}

func (s *station) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		select {
		case <-time.After(s.every):
		case <-s.ctx.Done():
			return 0, s.ctx.Err()
		}
		s.rest = s.unit(s.n)
		s.n++
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *station) Close() error {
	if s.gone != nil {
		s.gone()
	}
	return nil
}

// frame is the n-th frame of an ADTS stream, of 400 bytes.
func frame(n int) []byte {
	const size = 400
	f := bytes.Repeat([]byte{byte(n)}, size)
	copy(f, []byte{0xff, 0xf1, 0x50, 0x80, byte(size >> 3), size & 7 << 5, 0xfc})
	copy(f[10:], fmt.Sprintf("%09d", n))
	return f
}

func onAir(every time.Duration, contentType string, unit func(int) []byte) *scripted {
	return &scripted{answer: func(r *http.Request, _ int64) reply {
		return reply{header: head("Content-Type", contentType), body: io.NopCloser(&station{ctx: r.Context(), every: every, unit: unit}), length: -1}
	}}
}

func tune(t *testing.T, c *cache.Transport, url string) io.ReadCloser {
	resp, err := c.RoundTrip(request(t, t.Context(), url))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	t.Cleanup(func() { resp.Body.Close() })
	return resp.Body
}

// listen reads n bytes.
func listen(t *testing.T, from io.Reader, n int) []byte {
	b := make([]byte, n)
	_, err := io.ReadFull(from, b)
	require.NoError(t, err)
	return b
}

// Viewers who come later begin at the live edge, with a whole frame, and all of them cost the origin one question.
func TestAnEndlessBodyIsBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := onAir(20*time.Millisecond, "audio/aac", frame)
		c := &cache.Transport{Base: o, Store: store(t)}
		first := tune(t, c, "http://o/radio")
		go io.Copy(io.Discard, first)
		for i := range 20 {
			time.Sleep(7*time.Second + time.Duration(i)*11*time.Millisecond)
			came := int(time.Since(synctestBegan) / (20 * time.Millisecond))
			late := tune(t, c, "http://o/radio")
			got := listen(t, late, 4000)
			var at int
			_, err := fmt.Sscanf(string(got[10:]), "%09d", &at)
			require.NoError(t, err)
			for n := range 10 {
				require.True(t, bytes.Equal(frame(at+n), got[n*400:][:400]))
			}
			require.InDelta(t, came, at, 2, "not the past")
			go io.Copy(io.Discard, late)
		}
		require.EqualValues(t, 1, o.asked.Load())
		require.Less(t, c.Stats().OriginBytes, uint64(10<<20))
		require.Zero(t, c.Stats().Stored)
	})
}

// synctestBegan is when each bubble begins.
var synctestBegan = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// The connection to the origin ends when its last viewer leaves, or a while later. Until it ends, a new viewer joins it.
func TestABroadcastEndsWithItsLastViewer(t *testing.T) {
	for _, linger := range []time.Duration{0, 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			o := onAir(20*time.Millisecond, "audio/aac", frame)
			c := &cache.Transport{Base: o, Store: store(t), Linger: linger}
			for round := range 3 {
				body := tune(t, c, "http://o/radio")
				listen(t, body, 6000*20) // some seconds
				if round == 0 {
					time.Sleep(10 * time.Second)
					listen(t, body, 400)
				}
				body.Close()
				time.Sleep(linger / 2)
			}
			if linger == 0 {
				synctest.Wait()
			} else {
				require.EqualValues(t, 1, o.asked.Load())
				require.Equal(t, 1, c.Stats().Fills)
				time.Sleep(linger)
			}
			require.Zero(t, c.Stats().Fills)
			_, err := c.PurgePrefix(t.Context(), "")
			require.NoError(t, err)
			require.Zero(t, c.Store.(*cache.Memory).Size())
		})
	}
}

// A client that comes and goes leaves nothing behind, however long a broadcast lingers.
func TestLeavingABroadcastOftenLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cache.Transport{Base: onAir(20*time.Millisecond, "audio/aac", frame), Store: store(t), Linger: time.Hour}
		body := tune(t, c, "http://o/radio")
		listen(t, body, 6000*20) // some seconds
		body.Close()
		comeAndGo := func(times int) {
			for range times {
				resp, err := c.RoundTrip(request(t, t.Context(), "http://o/radio"))
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
			}
		}
		comeAndGo(100)
		before := heap()
		if comeAndGo(1000); !raceEnabled {
			comeAndGo(20_000)
		}
		require.Less(t, heap()-before, int64(1<<20))
		time.Sleep(59 * time.Minute)
		require.Equal(t, 1, c.Stats().Fills)
		time.Sleep(2 * time.Minute)
		require.Zero(t, c.Stats().Fills)
	})
}

// A viewer who is too slow for the ring is cut off, with an error, and costs the others nothing. Memory does not grow, with the
// flag -stress not even in a day.
func TestASlowViewerOfABroadcastIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := onAir(20*time.Millisecond, "audio/aac", frame)
		m := store(t)
		c := &cache.Transport{Base: o, Store: m, Ring: 64 << 10}
		slow := tune(t, c, "http://o/radio")
		listen(t, slow, 400)
		fast := tune(t, c, "http://o/radio")
		steps := 100 // of 4 s
		if *stressFor >= time.Minute {
			steps = 24 * 3600 / 4
		}
		for n := range steps {
			if listen(t, fast, 400*200); n%10 == 0 {
				require.LessOrEqual(t, m.Size(), int64(1<<20))
			}
		}
		_, err := io.Copy(io.Discard, slow)
		require.Error(t, err)
		require.NotErrorIs(t, err, io.EOF)
		require.EqualValues(t, 1, o.asked.Load())
		require.LessOrEqual(t, m.Size(), int64(1<<20))
		fast.Close()
		slow.Close()
		synctest.Wait()
		require.Zero(t, m.Size())
	})
}

// If nobody can join a stream in the middle, each late viewer gets one of its own, from its beginning.
func TestWhatCannotBeJoinedIsNotBroadcast(t *testing.T) {
	for name, row := range map[string]struct {
		contentType, start string
		asked              int64 // by two viewers
	}{
		"matroska":           {"video/webm", "\x1a\x45\xdf\xa3", 2},
		"Ogg":                {"application/ogg", "OggS\x00\x02", 2},
		"Ogg without a type": {"", "OggS\x00\x02", 2},
		"Ogg, any type":      {"application/octet-stream", "OggS\x00\x02", 2},
		"unknown":            {"application/x-stream", "\x00\x01\x02\xff", 2},
		"text":               {"text/plain", "", 1},
		"JSON":               {"application/json", "{", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := onAir(20*time.Millisecond, row.contentType, func(n int) []byte {
					if n == 0 {
						return []byte(row.start + "begins.")
					}
					return fmt.Appendf(nil, "%09d ", n)
				})
				c := &cache.Transport{Base: o, Store: store(t)}
				first := tune(t, c, "http://o/stream")
				go io.Copy(io.Discard, first)
				time.Sleep(time.Minute)
				late := tune(t, c, "http://o/stream")
				require.Equal(t, row.start+"begins.", string(listen(t, late, len(row.start)+7)))
				require.EqualValues(t, row.asked, o.asked.Load())
				late.Close()
				first.Close()
			})
		})
	}
}

// A viewer gets a stream of its own if it asks for the titles of a radio. All others share one without titles.
func TestTitlesOfARadioAreNotMixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &scripted{}
		o.answer = func(r *http.Request, _ int64) reply {
			body := &station{ctx: r.Context(), every: 20 * time.Millisecond, unit: frame}
			h := head("Content-Type", "audio/aac")
			if strings.Contains(r.Header.Get("Icy-MetaData"), "1") {
				h.Set("Icy-Metaint", "8192")
			}
			return reply{header: h, body: io.NopCloser(body), length: -1}
		}
		c := &cache.Transport{Base: o, Store: store(t)}
		tuneIn := func(wants ...string) *http.Response {
			r := request(t, t.Context(), "http://o/radio")
			if wants != nil {
				r.Header.Set("Icy-MetaData", wants[0])
			}
			resp, err := c.RoundTrip(r)
			require.NoError(t, err)
			t.Cleanup(func() { resp.Body.Close() })
			go io.Copy(io.Discard, resp.Body)
			time.Sleep(10 * time.Second)
			return resp
		}
		require.Equal(t, "8192", tuneIn("1").Header.Get("Icy-Metaint"))
		require.Empty(t, tuneIn().Header.Get("Icy-Metaint"))
		require.Empty(t, tuneIn("0").Header.Get("Icy-Metaint"))
		require.Equal(t, "8192", tuneIn(" 1").Header.Get("Icy-Metaint"))
		require.Empty(t, tuneIn().Header.Get("Icy-Metaint"))
		require.EqualValues(t, 3, o.asked.Load())
	})
}

// A long file without a length that comes faster than its viewers read is no broadcast: a slow viewer gets all of it.
func TestALongFileIsNoBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const frames = 100_000
		all := bytes.Repeat(frame(1), frames)
		o := &scripted{answer: func(*http.Request, int64) reply {
			return reply{header: head("Content-Type", "audio/aac"), body: io.MultiReader(bytes.NewReader(all)), length: -1}
		}}
		c := &cache.Transport{Base: o, Store: store(t)}
		body := tune(t, c, "http://o/file.aac")
		for range frames / 1000 {
			time.Sleep(time.Second)
			listen(t, body, 400*1000)
		}
		n, err := io.Copy(io.Discard, body)
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

// A segment that a playlist names is no broadcast, however long it takes.
func TestASlowSegmentIsNoBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &scripted{}
		o.answer = func(r *http.Request, _ int64) reply {
			if strings.HasSuffix(r.URL.Path, ".m3u8") {
				return text(live(30, "slow.aac"))
			}
			var part []io.Reader
			for n := range 40 {
				part = append(part, &station{ctx: r.Context(), every: 200 * time.Millisecond, unit: func(int) []byte { return frame(n) }})
			}
			for i, p := range part {
				part[i] = io.LimitReader(p, 400)
			}
			return reply{header: head("Content-Type", "audio/aac"), body: io.NopCloser(io.MultiReader(part...)), length: -1}
		}
		c := &cache.Transport{Base: o, Store: store(t), Refs: linesOf}
		fetch(t, c, "http://o/list.m3u8")
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 3 * time.Second)
				_, body := fetch(t, c, "http://o/slow.aac")
				require.Len(t, body, 40*400)
			})
		}
		wg.Wait()
		require.EqualValues(t, 2, o.asked.Load())
		require.NotZero(t, c.Stats().Stored)
	})
}

// A viewer who joins a broadcast at the live edge cannot name offsets: a request for a range gets a 200, and never a 206 with
// a wrong Content-Range.
func TestNoRangeOfABroadcast(t *testing.T) {
	for name, row := range map[string]struct {
		asked string
		total string // what the origin says of its length, if it is asked for one byte
	}{
		"one that follows":            {"bytes=0-9223372036854775807", ""},
		"one that follows from later": {"bytes=4000-9223372036854775807", ""},
		"to the end":                  {"bytes=4000-", ""},
		"a piece":                     {"bytes=0-99", "bytes 0-0/1000000"},
		"to the end of a known total": {"bytes=4000-", "bytes 0-0/1000000"},
		"the last bytes":              {"bytes=-100", "bytes 0-0/1000000"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				air := onAir(20*time.Millisecond, "audio/aac", frame)
				o := &scripted{answer: func(r *http.Request, n int64) reply {
					if r.Header.Get("Range") != "" {
						return reply{status: http.StatusPartialContent, header: head("Content-Range", row.total, "Etag", `"1"`), body: io.NopCloser(http.NoBody), length: 1}
					}
					answer := air.answer(r, n)
					answer.header.Set("Etag", `"1"`)
					return answer
				}}
				c := &cache.Transport{Base: o, Store: store(t)}
				first := tune(t, c, "http://o/radio")
				go io.Copy(io.Discard, first)
				time.Sleep(30 * time.Second)
				r := request(t, t.Context(), "http://o/radio")
				r.Header.Set("Range", row.asked)
				resp, err := c.RoundTrip(r)
				require.NoError(t, err)
				defer resp.Body.Close()
				require.Equal(t, http.StatusOK, resp.StatusCode)
				require.Empty(t, resp.Header["Content-Range"])
				require.Equal(t, []byte{0xff, 0xf1}, listen(t, resp.Body, 400)[:2], "a whole frame")
			})
		})
	}
}

// flvTag is the n-th tag of an FLV stream, of 4,000 bytes. The header of the stream stands before the first, and every group-th
// has a key frame.
func flvTag(group int) func(n int) []byte {
	return func(n int) []byte {
		const size = 4000
		tag := bytes.Repeat([]byte{byte(n)}, size)
		copy(tag, []byte{9, 0, (size - 15) >> 8, (size - 15) & 0xff, 0, 0, 0, 0, 0, 0, 0, 0x27, 1})
		if n%group == 0 {
			tag[11] = 0x17
		}
		if n > 0 {
			return tag
		}
		return append([]byte("FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00"), tag...)
	}
}

// Once the newest key frame has left the ring, a new viewer gets a stream of its own. One that comes after the next key frame
// begins with that.
func TestAGroupOfPicturesLongerThanTheRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every, group = 20 * time.Millisecond, 500
		o := onAir(every, "video/x-flv", flvTag(group))
		c := &cache.Transport{Base: o, Store: store(t), Ring: 256 << 10}
		go io.Copy(io.Discard, tune(t, c, "http://o/channel.flv"))
		for _, row := range []struct {
			after time.Duration // since the first one came
			asked int64
		}{
			{every*group*3/2 + every/2, 2},
			{every*(2*group+20) + every/2, 2},
			{every*(2*group+300) + every/2, 3},
		} {
			time.Sleep(row.after - time.Since(synctestBegan))
			late := tune(t, c, "http://o/channel.flv")
			got := listen(t, late, 13+4000*100)
			require.Equal(t, "FLV", string(got[:3]))
			require.Equal(t, []byte{9, 0x17}, []byte{got[13], got[13+11]}, "a key frame")
			require.EqualValues(t, row.asked, o.asked.Load())
			late.Close()
		}
	})
}
