package cache_test

import (
	"context"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// hollow is a body that costs nothing to make.
type hollow int64

func (h hollow) Size() int64                           { return int64(h) }
func (h hollow) ReadAt(p []byte, _ int64) (int, error) { return len(p), nil }

// pieces counts writes.
type pieces int

func (n *pieces) Write(p []byte) (int, error) { *n++; return len(p), nil }

// A Memory that has been full for long does not hand out its bodies in crumbs.
func TestBodiesOfAFullMemoryLieInFewPieces(t *testing.T) {
	m := cache.NewMemory(256 << 20)
	c := &cache.Transport{Store: m, Base: trip(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })}
	rng := rand.New(rand.NewPCG(1, 1))
	sizes := make([]int64, 5000)
	for i := range sizes {
		sizes[i] = int64(200_000 * math.Pow(20, rng.Float64()))
		e := &cache.Entry{Status: 200, Header: http.Header{}, Body: hollow(sizes[i]), Time: time.Now(), TTL: time.Hour}
		require.NoError(t, m.Put(context.Background(), "http://o/"+strconv.Itoa(i), e))
	}
	require.Greater(t, m.Size(), int64(250<<20))
	var got pieces
	var least, found int64
	for i, size := range sizes {
		resp, err := c.RoundTrip(request(t, t.Context(), "http://o/"+strconv.Itoa(i)))
		if err != nil {
			continue
		}
		found++
		least += (size + 256<<10 - 1) / (256 << 10)
		resp.Body.(io.WriterTo).WriteTo(&got)
		resp.Body.Close()
	}
	require.EqualValues(t, m.Len(), found)
	require.LessOrEqual(t, int64(got), least*5/4)
}
