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

// The beginning of what may be a stream without an end is kept for those who join. One viewer alone does not need it.
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
