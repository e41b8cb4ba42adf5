package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// ofZeros is an origin of bodies with a length that cost nothing. With stall, each stands still before its last byte.
func ofZeros(size int64, stall chan struct{}) trip {
	return func(r *http.Request) (*http.Response, error) {
		var body io.Reader = io.LimitReader(zeros{}, size)
		if stall != nil {
			body = io.MultiReader(io.LimitReader(zeros{}, size-1), after(stall), strings.NewReader("\x00"))
		}
		return reply{header: head("Content-Type", "video/mp2t"), body: body, length: size}.response(r), nil
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// The fills of viewers who stand still or have left stay within the bound, whatever the Store is.
func TestFillsStayWithinTheBound(t *testing.T) {
	const bound, size, viewers = 4 << 20, 3 << 20, 50
	for name, leave := range map[string]bool{"who stand still": false, "who leave": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stall := make(chan struct{})
				m := cache.NewMemory(bound)
				c := &cache.Transport{Store: m, Base: ofZeros(size, stall)}
				before := heap()
				var open []io.ReadCloser
				for i := range viewers {
					resp, err := c.RoundTrip(request(t, t.Context(), fmt.Sprintf("http://o/%d.ts", i)))
					require.NoError(t, err)
					if leave {
						resp.Body.Close()
					} else {
						open = append(open, resp.Body)
					}
				}
				synctest.Wait()
				require.LessOrEqual(t, m.Size(), int64(bound+viewers*16<<10))
				require.Less(t, heap()-before, int64(5<<20))
				close(stall)
				var wg sync.WaitGroup
				for _, body := range open {
					wg.Go(func() {
						n, err := io.Copy(io.Discard, body)
						require.NoError(t, err)
						require.EqualValues(t, size, n, "they get it all when they go on")
						body.Close()
					})
				}
				wg.Wait()
				synctest.Wait()
				require.LessOrEqual(t, m.Size(), int64(bound))
				require.Zero(t, c.Stats().Fills)
			})
		})
	}
}

// A body that is longer than the bound goes through a small part of it, and displaces nothing else.
func TestABodyLongerThanTheBound(t *testing.T) {
	const bound, size = 4 << 20, 12 << 20
	for _, length := range []int64{size, -1} {
		m := cache.NewMemory(bound)
		c := &cache.Transport{Store: m, Base: trip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/small.ts" {
				return text("small").response(r), nil
			}
			return reply{header: head("Content-Type", "video/mp2t"), body: io.LimitReader(zeros{}, size), length: length}.response(r), nil
		})}
		fetch(t, c, "http://o/small.ts")
		for i := range 3 {
			_, body := fetch(t, c, fmt.Sprintf("http://o/%d.ts", i))
			require.Len(t, body, size)
		}
		if length > 0 {
			require.Equal(t, 1, m.Len())
		}
		require.Eventually(t, func() bool { return m.Size() < 1<<20 }, time.Minute, time.Millisecond)
	}
}

// A viewer who stands still while there is no memory holds up others only for a while, and then gets a broken body.
func TestNobodyHoldsUpOthersWhenMemoryIsShort(t *testing.T) {
	const size = 1 << 20
	synctest.Test(t, func(t *testing.T) {
		m := cache.NewMemory(0)
		begin := make(chan struct{})
		c := &cache.Transport{Store: m, Base: trip(func(r *http.Request) (*http.Response, error) {
			<-begin
			return ofZeros(size, nil)(r)
		})}
		var bodies [3]io.ReadCloser
		var wg sync.WaitGroup
		for i := range bodies {
			wg.Go(func() {
				resp, err := c.RoundTrip(request(t, t.Context(), segURL))
				require.NoError(t, err)
				bodies[i] = resp.Body
			})
		}
		synctest.Wait()
		close(begin)
		wg.Wait()
		for _, body := range bodies[1:] {
			wg.Go(func() {
				n, err := io.Copy(io.Discard, body)
				require.NoError(t, err)
				require.EqualValues(t, size, n)
			})
		}
		wg.Wait()
		_, err := io.Copy(io.Discard, bodies[0])
		require.Error(t, err)
		require.EqualValues(t, 1, c.Stats().Misses)
		for _, body := range bodies {
			body.Close()
		}
		synctest.Wait()
		require.Zero(t, m.Size())
	})
}

// If the Store is no Memory, the bodies of fills stay within a bound as well.
func TestFillsWithoutAMemoryStayWithinABound(t *testing.T) {
	const size, viewers = 30 << 20, 40
	c := &cache.Transport{Base: ofZeros(size, nil)}
	before := heap()
	var open []io.ReadCloser
	for i := range viewers {
		resp, err := c.RoundTrip(request(t, t.Context(), fmt.Sprintf("http://o/%d.ts", i)))
		require.NoError(t, err)
		open = append(open, resp.Body)
	}
	last := uint64(0)
	require.Eventually(t, func() bool { now := c.Stats().OriginBytes; same := now == last; last = now; return same }, time.Minute, 50*time.Millisecond)
	require.Less(t, heap()-before, int64(300<<20))
	for _, body := range open {
		body.Close()
	}
}

// failing is a writer that may still use its bytes after a Write has failed.
type failing struct{ kept *[]byte }

func (f failing) Write(p []byte) (int, error) { *f.kept = p; return 0, io.ErrClosedPipe }

type panicking struct{ kept *[]byte }

func (f panicking) Write(p []byte) (int, error) { *f.kept = p; panic(http.ErrAbortHandler) }

// After a failed Write, its bytes stay unchanged for a while, also if the body is complete, and no other bytes of the body do.
func TestATornPieceStaysForAWhile(t *testing.T) {
	const bound = 2 << 20
	for name, to := range map[string]func(*[]byte) io.Writer{
		"fails":  func(kept *[]byte) io.Writer { return failing{kept} },
		"panics": func(kept *[]byte) io.Writer { return panicking{kept} },
	} {
		for _, stored := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", stored: ", stored), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					body := noise(1<<20, 3)
					end := make(chan struct{})
					m := cache.NewMemory(bound)
					c := &cache.Transport{Store: m, Base: trip(func(r *http.Request) (*http.Response, error) {
						if r.URL.String() == segURL && !stored {
							return reply{body: io.MultiReader(bytes.NewReader(body), after(end), strings.NewReader("x")), length: 1<<20 + 1}.response(r), nil
						} else if r.URL.String() == segURL {
							return text(string(body)).response(r), nil
						}
						return text(strings.Repeat("other", 60_000)).response(r), nil
					})}
					if stored {
						fetch(t, c, segURL)
					}
					resp, err := c.RoundTrip(request(t, t.Context(), segURL))
					require.NoError(t, err)
					synctest.Wait()
					var kept []byte
					func() {
						defer func() { _ = recover() }()
						_, err := resp.Body.(io.WriterTo).WriteTo(to(&kept))
						require.Error(t, err)
					}()
					resp.Body.Close()
					close(end)
					synctest.Wait()
					_, err = c.Purge(t.Context(), segURL)
					require.NoError(t, err)
					synctest.Wait()
					require.NotZero(t, m.Size(), "the piece is counted")
					require.LessOrEqual(t, m.Size(), int64(256<<10), "and no more than the piece")
					for i := range 20 {
						fetch(t, c, fmt.Sprintf("http://o/%d.ts", i))
					}
					require.NotEmpty(t, kept)
					require.True(t, bytes.Equal(kept, body[:len(kept)]))
					time.Sleep(time.Minute)
					_, err = c.PurgePrefix(t.Context(), "")
					require.NoError(t, err)
					require.Zero(t, m.Size())
				})
			})
		}
	}
}

// However many Writes fail, their bytes stay within the bound. After that, writers get copies.
func TestManyTornPiecesAreBounded(t *testing.T) {
	const bound = 4 << 20
	synctest.Test(t, func(t *testing.T) {
		m := cache.NewMemory(bound)
		c := &cache.Transport{Store: m, Base: ofZeros(1<<20, nil)}
		for i := range 100 {
			resp, err := c.RoundTrip(request(t, t.Context(), fmt.Sprintf("http://o/%d.ts", i)))
			require.NoError(t, err)
			synctest.Wait()
			var kept []byte
			_, err = resp.Body.(io.WriterTo).WriteTo(failing{&kept})
			require.ErrorIs(t, err, io.ErrClosedPipe)
			resp.Body.Close()
			synctest.Wait()
			require.LessOrEqual(t, m.Size(), int64(bound))
		}
		_, err := c.PurgePrefix(t.Context(), "")
		require.NoError(t, err)
		require.LessOrEqual(t, m.Size(), int64(bound/8+256<<10))
		time.Sleep(time.Minute)
		require.Zero(t, m.Size())
	})
}

// The HTTP/1 writer of net/http no longer uses the bytes when Write returns. Nothing is kept for it.
func TestAResetOfHTTP1KeepsNothing(t *testing.T) {
	m := cache.NewMemory(8 << 20)
	c := &cache.Transport{Store: m, Base: ofZeros(6<<20, nil)}
	var failed sync.WaitGroup
	failed.Add(1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer failed.Done()
		resp, err := c.RoundTrip(request(t, context.Background(), segURL))
		if err != nil {
			return
		}
		defer resp.Body.Close()
		for err == nil { // until the client has left
			w.Header().Set("X", "1")
			_, err = resp.Body.(io.WriterTo).WriteTo(struct{ onlyUnwrap }{onlyUnwrap{w}})
			if err == nil {
				err = errors.New("it took all")
			}
		}
	}))
	defer server.Close()
	resp, err := http.Get(server.URL)
	require.NoError(t, err)
	_, _ = io.CopyN(io.Discard, resp.Body, 1000)
	resp.Body.Close()
	failed.Wait()
	require.Eventually(t, func() bool { return c.Stats().Fills == 0 }, time.Minute, time.Millisecond)
	_, err = c.PurgePrefix(t.Context(), "")
	require.NoError(t, err)
	require.Zero(t, m.Size())
}

// onlyUnwrap is a middleware's writer.
type onlyUnwrap struct{ w http.ResponseWriter }

func (u onlyUnwrap) Write(p []byte) (int, error) { return u.w.Write(p) }
func (u onlyUnwrap) Unwrap() http.ResponseWriter { return u.w }

// The cache makes no promise to a writer that keeps its bytes after a successful Write: the contract of io.Writer forbids that,
// and docs/mount.md says so. This test shows what such a writer sees.
func TestAWriterThatKeepsWhatItWasGivenSeesOtherBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := cache.NewMemory(1 << 20)
		c := &cache.Transport{Store: m, Base: trip(func(r *http.Request) (*http.Response, error) {
			return text(strings.Repeat(r.URL.Path[1:2], 500_000)).response(r), nil
		})}
		fetch(t, c, "http://o/a.ts")
		resp, err := c.RoundTrip(request(t, t.Context(), "http://o/a.ts"))
		require.NoError(t, err)
		var kept keeper
		_, err = resp.Body.(io.WriterTo).WriteTo(&kept)
		require.NoError(t, err)
		resp.Body.Close()
		_, err = c.Purge(t.Context(), "http://o/a.ts")
		require.NoError(t, err)
		for i := range 4 {
			fetch(t, c, fmt.Sprintf("http://o/b%d.ts", i))
		}
		require.Equal(t, byte('b'), kept[0][0])
	})
}

type keeper [][]byte

func (k *keeper) Write(p []byte) (int, error) { *k = append(*k, p); return len(p), nil }

// Names in playlists are counted by their number, not by their length. No request waits while they are read.
func TestNamesOfPlaylistsAreCounted(t *testing.T) {
	const bound = 8 << 20
	for name, row := range map[string]struct{ lists, names, length int }{
		"many":       {16, 8_000, 8},
		"long":       {4, 500, 2_000},
		"too many":   {2, 60_000, 8},
		"one by one": {2_000, 1, 8},
	} {
		t.Run(name, func(t *testing.T) {
			m, pad := cache.NewMemory(bound), strings.Repeat("0", row.length)
			c := &cache.Transport{Store: m, Refs: linesOf, Base: trip(func(r *http.Request) (*http.Response, error) {
				var b strings.Builder
				b.WriteString("#EXTM3U\n#EXT-X-TARGETDURATION:10\n")
				for i := range row.names {
					n := strconv.Itoa(i)
					b.WriteString(r.URL.Path[1:5] + pad[len(n):] + n + ".ts\n")
				}
				return text(b.String(), "Content-Type", "application/vnd.apple.mpegurl").response(r), nil
			})}
			before := heap()
			for i := range row.lists {
				fetch(t, c, fmt.Sprintf("http://o/%04d/list.m3u8", i))
			}
			require.LessOrEqual(t, m.Size(), int64(bound))
			require.LessOrEqual(t, heap()-before, int64(bound/4))
			runtime.KeepAlive(c)
		})
	}
}

// linesOf is a Refs for playlists whose names are relative to the root.
func linesOf(list []byte, _ string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.SplitSeq(string(list), "\n") {
			if line != "" && line[0] != '#' && !yield("http://o/"+line) {
				return
			}
		}
	}
}

// Keys of kilobytes are not stored besides the entries.
func TestLongKeysAreCounted(t *testing.T) {
	const bound = 2 << 20
	for name, header := range map[string]string{"stored": "max-age=1000", "private": "private"} {
		t.Run(name, func(t *testing.T) {
			m := cache.NewMemory(bound)
			c := &cache.Transport{Store: m, Base: trip(func(r *http.Request) (*http.Response, error) {
				return text("x", "Cache-Control", header).response(r), nil
			})}
			before, pad := heap(), strings.Repeat("k", 7800)
			for i := range 2_000 {
				fetch(t, c, fmt.Sprintf("http://o/a.ts?%s%d", pad, i))
			}
			require.LessOrEqual(t, heap()-before, int64(bound*5/4))
			runtime.KeepAlive(c)
		})
	}
}

func TestAMemoryWithoutABound(t *testing.T) {
	m := cache.NewMemory(math.MaxInt64)
	put(t, m, "a", 1<<20)
	require.True(t, has(t, m, "a"))
	o := numbered(10)
	c := &cache.Transport{Store: m, Base: o, MaxBody: math.MaxInt64, Refs: linesOf}
	for range 2 {
		fetch(t, c, segURL)
	}
	require.EqualValues(t, 1, o.asked.Load())
}
