package cache_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recorder notes of a stream of frames how old each piece was when it was written.
type recorder struct {
	every time.Duration // a frame
	first int           // number of the first frame
	bytes int64

	pieces []written
}

type written struct{ at, late time.Duration } // since the bubble began, and since the origin sent the first byte of the piece

func (r *recorder) Write(p []byte) (int, error) {
	if r.bytes == 0 {
		if _, err := fmt.Sscanf(string(p[10:]), "%09d", &r.first); err != nil {
			return 0, err
		}
	}
	at := time.Since(synctestBegan)
	sent := time.Duration(int64(r.first)+r.bytes/400+1) * r.every
	r.pieces, r.bytes = append(r.pieces, written{at, at - sent}), r.bytes+int64(len(p))
	return len(p), nil
}

// from tells what was written from a moment on: at how many moments, and how late at worst.
func (r *recorder) from(at time.Duration) (moments int, late time.Duration) {
	last := time.Duration(0)
	for _, p := range r.pieces {
		if p.at < at {
			continue
		}
		if p.at != last {
			moments++
		}
		last, late = p.at, max(late, p.late)
	}
	return moments, late
}

// What is broadcast leaves at few moments, and none of it waits for longer than 250 ms, however fast or slow it comes.
func TestABroadcastIsGathered(t *testing.T) {
	for name, row := range map[string]struct {
		every   time.Duration // a frame of 400 bytes
		moments int           // in ten seconds, at most; a frame may lie in two places, and leave at two moments
	}{
		"a radio":                       {20 * time.Millisecond, 41},
		"a stream":                      {time.Millisecond, 41},
		"pieces that come once a while": {300 * time.Millisecond, 36},
		"one piece a second":            {time.Second, 13},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &cache.Transport{Base: onAir(row.every, "audio/aac", frame), Store: store(t)}
				viewers := [3]recorder{{every: row.every}, {every: row.every}, {every: row.every}}
				for i := range viewers {
					go io.Copy(&viewers[i], tune(t, c, "http://o/radio"))
					time.Sleep(3 * time.Second)
				}
				time.Sleep(11 * time.Second)
				synctest.Wait()
				for _, v := range viewers {
					moments, late := v.from(10 * time.Second)
					require.LessOrEqual(t, moments, row.moments)
					require.GreaterOrEqual(t, moments, 10)
					require.LessOrEqual(t, late, 250*time.Millisecond)
					require.LessOrEqual(t, (v.bytes/400+int64(v.first))*int64(row.every), int64(20*time.Second))
				}
			})
		})
	}
}

// What comes fast leaves in pieces of 256 KiB at once.
func TestAFastBroadcastIsNotHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const frames, every = 20, time.Millisecond // 64 Mbit/s
		unit := func(n int) (all []byte) {
			for i := range frames {
				all = append(all, frame(n*frames+i)...)
			}
			return all
		}
		c := &cache.Transport{Base: onAir(every, "audio/aac", unit), Store: store(t)}
		viewer := recorder{every: every / frames}
		go io.Copy(&viewer, tune(t, c, "http://o/channel"))
		time.Sleep(11 * time.Second)
		synctest.Wait()
		moments, late := viewer.from(10 * time.Second)
		require.LessOrEqual(t, moments, 34)
		require.LessOrEqual(t, late, 35*time.Millisecond)
	})
}

// A viewer who joins has a first piece at once.
func TestAViewerOfABroadcastBeginsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cache.Transport{Base: onAir(time.Millisecond, "audio/aac", frame), Store: store(t)}
		go io.Copy(io.Discard, tune(t, c, "http://o/radio"))
		time.Sleep(10*time.Second + 50*time.Millisecond)
		for range 20 {
			came := time.Now()
			listen(t, tune(t, c, "http://o/radio"), 400)
			require.LessOrEqual(t, time.Since(came), time.Millisecond)
			time.Sleep(37 * time.Millisecond)
		}
	})
}

// Viewers have what came before the end, and see the end, or the break, in the same instant.
func TestTheEndOfABroadcastIsToldAtOnce(t *testing.T) {
	broken := errors.New("broken")
	for name, end := range map[string]error{"end": io.EOF, "break": broken} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const every, frames = 20 * time.Millisecond, 507
				over := synctestBegan.Add(every*frames + time.Millisecond)
				o := &scripted{answer: func(r *http.Request, _ int64) reply {
					body := &station{ctx: r.Context(), every: every, unit: frame}
					last := readerFunc(func([]byte) (int, error) { time.Sleep(time.Until(over)); return 0, end })
					return reply{header: head("Content-Type", "audio/aac"), body: io.MultiReader(io.LimitReader(body, 400*frames), last), length: -1}
				}}
				c := &cache.Transport{Base: o, Store: store(t)}
				var wg sync.WaitGroup
				for range 3 {
					body := tune(t, c, "http://o/radio")
					wg.Go(func() {
						n, err := io.Copy(io.Discard, body)
						assert.EqualValues(t, 400*frames, n)
						assert.Equal(t, end == io.EOF, err == nil)
						assert.Zero(t, time.Since(over))
					})
				}
				wg.Wait()
			})
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A small ring holds nobody back: viewers are woken before the origin would have to wait for them.
func TestASmallRingIsNotHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every = time.Millisecond // 400 KB a second
		c := &cache.Transport{Base: onAir(every, "audio/aac", frame), Store: store(t), Ring: 16 << 10}
		viewer := recorder{every: every}
		go io.Copy(&viewer, tune(t, c, "http://o/radio"))
		time.Sleep(20 * time.Second)
		synctest.Wait()
		require.GreaterOrEqual(t, viewer.bytes, int64(400*19_900))
	})
}
