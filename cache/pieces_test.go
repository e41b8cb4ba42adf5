package cache_test

import (
	"bytes"
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

// A Memory that has long been full does not hand out its bodies in crumbs.
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

// A body is not written in the pieces in which it came, and a range is not cut where two pieces of memory meet.
func TestBodiesAreWrittenInFewPieces(t *testing.T) {
	for name, row := range map[string]struct {
		size     int
		declared bool
		ranges   string
		want     pieces
	}{
		"small":                    {1000, true, "", 1},
		"200 KB":                   {200 << 10, true, "", 1},
		"200 KB of unknown length": {200 << 10, false, "", 4},
		"2 MB":                     {2 << 20, true, "", 8},
		"2 MB of unknown length":   {2 << 20, false, "", 14},
		"64 KB across two slabs":   {2 << 20, true, "bytes=1000000-1065535", 1},
		"256 KB in the middle":     {2 << 20, true, "bytes=300000-562143", 1},
		"all but the first byte":   {2 << 20, true, "bytes=1-", 8},
		"300 KB of unknown length": {300 << 10, false, "", 6}, // of eight
	} {
		t.Run(name, func(t *testing.T) {
			body := noise(row.size, 9)
			c := &cache.Transport{Store: store(t), Base: &scripted{answer: func(*http.Request, int64) reply {
				r := reply{header: head("Content-Type", "video/mp2t"), body: bytes.NewReader(body), length: -1}
				if row.declared {
					r.length = int64(row.size)
				}
				return r
			}}}
			for i := range 3 { // the memory of a removed body is reused
				url := "http://o/" + strconv.Itoa(i) + ".ts"
				fetch(t, c, url)
				if i == 1 {
					_, err := c.Purge(t.Context(), "http://o/0.ts")
					require.NoError(t, err)
				}
				r := request(t, t.Context(), url)
				if row.ranges != "" {
					r.Header.Set("Range", row.ranges)
				}
				resp, err := c.RoundTrip(r)
				require.NoError(t, err)
				var got pieces
				var all bytes.Buffer
				_, err = resp.Body.(io.WriterTo).WriteTo(io.MultiWriter(&got, &all))
				require.NoError(t, err)
				require.LessOrEqual(t, got, row.want)
				require.True(t, bytes.Contains(body, all.Bytes()))
				require.NoError(t, resp.Body.Close())
			}
		})
	}
}
