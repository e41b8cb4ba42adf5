package cache_test

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// The beginning of a body that may be endless is kept for viewers who join. One viewer alone does not need it.
func TestALongBodyOfUnknownLengthIsKeptForSeveralViewers(t *testing.T) {
	const size = 20 << 20
	body := noise(size, 1)
	open := func() (*cache.Transport, *scripted) {
		o := &scripted{answer: func(*http.Request, int64) reply {
			return reply{header: head("Content-Type", "video/mp4"), body: io.MultiReader(bytes.NewReader(body))}
		}}
		return &cache.Transport{Base: o, Store: store(t)}, o
	}
	ask := func(t *testing.T, c *cache.Transport) io.ReadCloser {
		resp, err := c.RoundTrip(request(t, t.Context(), segURL))
		require.NoError(t, err)
		return resp.Body
	}
	read := func(t *testing.T, from io.ReadCloser) {
		got, err := io.ReadAll(from)
		require.NoError(t, err)
		require.True(t, bytes.Equal(body, got))
		from.Close()
	}
	t.Run("alone", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, o := open()
			first := ask(t, c)
			synctest.Wait()
			require.Less(t, c.Stats().OriginBytes, uint64(13<<20), "the origin waits for the viewer")
			second := ask(t, c)
			read(t, second)
			read(t, first)
			require.EqualValues(t, 2, o.asked.Load())
			require.Zero(t, c.Stats().Stored)
			third := ask(t, c)
			read(t, third)
			require.EqualValues(t, 3, o.asked.Load(), "nothing is known against sharing it")
		})
	})
	t.Run("together", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, o := open()
			slow := o.answer
			o.answer = func(r *http.Request, n int64) reply { time.Sleep(time.Second); return slow(r, n) }
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() { read(t, ask(t, c)) })
			}
			wg.Wait()
			require.EqualValues(t, 1, o.asked.Load())
			require.EqualValues(t, 1, c.Stats().Stored)
		})
	})
}

// A newcomer to a body that stalls would only see it break.
func TestNobodyJoinsABodyThatStalls(t *testing.T) {
	for wait, joins := range map[time.Duration]bool{4 * time.Second: true, 6 * time.Second: false} {
		synctest.Test(t, func(t *testing.T) {
			first := newPipe()
			o := &scripted{answer: func(_ *http.Request, n int64) reply {
				if n == 1 {
					return reply{body: first, length: 5}
				}
				return text("fresh")
			}}
			c := &cache.Transport{Base: o, Store: store(t)}
			time.AfterFunc(7*time.Second, func() { first.send("st") }) // long after the header, and then no more
			go try(t, c, segURL)
			time.Sleep(7*time.Second + wait)
			_, body, err := try(t, c, segURL)
			if joins {
				require.ErrorIs(t, err, cache.ErrIdle)
				require.Equal(t, "st", body)
			} else {
				require.NoError(t, err)
				require.Equal(t, "fresh", body)
			}
			time.Sleep(time.Minute)
			_, body = fetch(t, c, segURL)
			require.Equal(t, "fresh", body)
			require.EqualValues(t, 2, o.asked.Load())
		})
	}
}

// A range of a body of unknown length is answered with the whole if the end proves too long to wait for.
func TestARangeOfABodyOfUnknownLengthThatOutgrows(t *testing.T) {
	const size = 10 << 20
	body := noise(size, 1)
	for field, status := range map[string]int{"bytes=-100": 200, "bytes=9000000-": 200, "bytes=9000000-9000001": 200, "bytes=5-6": 200} {
		synctest.Test(t, func(t *testing.T) {
			o := &scripted{answer: func(*http.Request, int64) reply { return reply{body: io.MultiReader(bytes.NewReader(body))} }}
			c := &cache.Transport{Base: o, Store: store(t), MaxBody: 1 << 20}
			resp, got := fetch(t, c, segURL, "Range", field)
			require.Equal(t, status, resp.StatusCode, field)
			require.True(t, string(body) == got, field)
		})
	}
}

// after ends once the channel is closed.
type after chan struct{}

func (a after) Read([]byte) (int, error) {
	<-a
	return 0, io.EOF
}

// A playlist reader has a limit, and nothing is fetched far beyond it.
func TestAnEndlessPlaylistIsNotFetchedFarAhead(t *testing.T) {
	const size = 16 << 20
	synctest.Test(t, func(t *testing.T) {
		text := bytes.Repeat([]byte("#EXTM3U\n"), size/8)
		taken := make(after) // a fill that nobody has taken yet waits for nobody
		o := &scripted{answer: func(*http.Request, int64) reply {
			return reply{body: io.MultiReader(bytes.NewReader(text[:8]), taken, bytes.NewReader(text[8:]))}
		}}
		c := &cache.Transport{Base: o, Store: store(t)}
		resp, err := c.RoundTrip(request(t, t.Context(), listURL))
		require.NoError(t, err)
		close(taken)
		synctest.Wait()
		require.Less(t, c.Stats().OriginBytes, uint64(3<<19))
		_, err = io.CopyN(io.Discard, resp.Body, 4<<20)
		require.NoError(t, err)
		synctest.Wait()
		require.Less(t, c.Stats().OriginBytes, uint64(11<<19))

		// The first viewer does not hold up another.
		_, body := fetch(t, c, listURL)
		require.True(t, string(text) == body)
		resp.Body.Close()
	})
}
