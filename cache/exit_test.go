package cache_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// leaver is a body that ends the goroutine of its reader, or of its closer.
type leaver struct {
	io.Reader
	atRead bool
}

func (l leaver) Read(p []byte) (int, error) {
	if l.atRead {
		runtime.Goexit()
	}
	return l.Reader.Read(p)
}

func (l leaver) Close() error { runtime.Goexit(); return nil }

// A test that fails within a hook ends its goroutine. That leaves nobody waiting.
func TestHooksThatEndTheirGoroutine(t *testing.T) {
	exit := func() error { runtime.Goexit(); return nil }
	fine := func() error { return nil }
	good := func() reply { return text("segment", "Content-Type", "video/mp2t") }
	body := func(atRead bool) reply {
		a := good()
		a.body, a.length = leaver{a.body, atRead}, 7
		return a
	}
	for name, row := range map[string]struct {
		c      *cache.Transport
		answer func() reply
		served bool
	}{
		"Base":   {&cache.Transport{}, func() reply { runtime.Goexit(); return reply{} }, false},
		"Read":   {&cache.Transport{}, func() reply { return body(true) }, false},
		"Close":  {&cache.Transport{}, func() reply { return body(false) }, true},
		"Put":    {&cache.Transport{Store: badStore{fine, exit}}, good, true},
		"TTL":    {&cache.Transport{Store: store(t), TTL: func(*cache.Entry) time.Duration { exit(); return 0 }}, good, true},
		"OnFill": {&cache.Transport{OnFill: func(cache.Fill) { exit() }}, good, true},
		"refused": {&cache.Transport{}, func() reply {
			a := body(false)
			a.status = http.StatusNotModified
			return a
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				row.c.Base = &scripted{answer: func(*http.Request, int64) reply { return row.answer() }}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				for range 2 {
					begin := time.Now()
					resp, err := row.c.RoundTrip(request(t, ctx, segURL))
					var got []byte
					if err == nil {
						got, err = io.ReadAll(resp.Body)
						resp.Body.Close()
					}
					require.Zero(t, time.Since(begin))
					if row.served {
						require.NoError(t, err)
						require.Equal(t, "segment", string(got))
						continue
					}
					require.ErrorIs(t, err, cache.ErrHook)
					require.Equal(t, 502, status(err))
				}
				synctest.Wait()
				require.Zero(t, row.c.Stats().Fills)
				if m, ok := row.c.Store.(*cache.Memory); ok {
					require.Zero(t, m.Size(), "nothing holds its pages")
				}
			})
		})
	}
}

// A silent body that is not shared is closed by a timer. A panic in that Close harms nobody else.
func TestASilentBodyThatPanicsWhenItIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cache.Transport{Base: trip(func(r *http.Request) (*http.Response, error) {
			a := text("", "Cache-Control", "private")
			a.body, a.length = silent{r.Context()}, 5
			return a.response(r), nil
		})}
		_, _, err := try(t, c, segURL)
		require.ErrorIs(t, err, cache.ErrIdle)
		require.NotZero(t, c.Stats().Errors)
	})
}

// silent says nothing until its context ends. It panics if it is closed before that is noticed.
type silent struct{ ctx context.Context }

func (s silent) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, bytes.ErrTooLarge }
func (s silent) Close() error {
	if s.ctx.Err() != nil {
		panic("close")
	}
	return nil
}

// A viewer who wants a part of a body may ask for its length in its own goroutine.
func TestAHookThatEndsAViewerLeavesNoShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := io.Pipe()
		first := true
		m := store(t)
		c := &cache.Transport{Store: m, Base: &scripted{answer: func(*http.Request, int64) reply {
			if !first {
				runtime.Goexit()
			}
			first = false
			a := text("", "Content-Type", "video/mp2t", "Etag", `"1"`)
			a.body, a.length = from, -1
			return a
		}}}
		begun, err := c.RoundTrip(request(t, t.Context(), segURL))
		require.NoError(t, err)
		go func() {
			r := request(t, t.Context(), segURL)
			r.Header.Set("Range", "bytes=-3")
			_, _ = c.RoundTrip(r)
			t.Error("it goes on")
		}()
		synctest.Wait()
		_, err = io.WriteString(to, "segment")
		require.NoError(t, err)
		to.Close()
		got, err := io.ReadAll(begun.Body)
		require.NoError(t, err)
		require.Equal(t, "segment", string(got))
		begun.Body.Close()
		synctest.Wait()
		_, err = m.Purge(t.Context(), func(string) bool { return true })
		require.NoError(t, err)
		require.Zero(t, m.Size(), "nothing holds its pages")
	})
}
