package cache_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

func put(t testing.TB, m *cache.Memory, key string, size int) {
	t.Helper()
	e := &cache.Entry{Status: 200, Header: http.Header{}, Body: cache.Bytes(make([]byte, size)), Time: time.Now(), TTL: time.Hour}
	require.NoError(t, m.Put(context.Background(), key, e))
}

func has(t testing.TB, m *cache.Memory, key string) bool {
	t.Helper()
	e, err := m.Get(context.Background(), key)
	require.NoError(t, err)
	return e != nil
}

func TestMemoryIsBounded(t *testing.T) {
	m := cache.NewMemory(1 << 20)
	for i := range 10_000 {
		put(t, m, fmt.Sprint(i), 10_000+i%7*1000)
		if i%3 == 0 {
			has(t, m, fmt.Sprint(i/2))
		}
		require.LessOrEqual(t, m.Size(), int64(1<<20))
	}
	require.Greater(t, m.Size(), int64(9<<20/10))
	require.Less(t, m.Len(), 110)

	put(t, m, "too large", 1<<20)
	require.False(t, has(t, m, "too large"))
	put(t, m, "a", 10)
	size := m.Size()
	put(t, m, "a", 10)
	require.Equal(t, size, m.Size(), "an entry replaces the one of its key")
	put(t, m, "a", 1<<20)
	require.False(t, has(t, m, "a"), "what was replaced is gone even if its successor does not fit")

	none := cache.NewMemory(-1)
	put(t, none, "a", 0)
	require.Zero(t, none.Len())
}

func TestMemoryCountsHeadersAndKeys(t *testing.T) {
	m := cache.NewMemory(1 << 20)
	e := &cache.Entry{Header: http.Header{"X": {string(make([]byte, 100_000))}}, Vary: http.Header{"Y": {string(make([]byte, 50_000))}}}
	require.NoError(t, m.Put(t.Context(), "a", e))
	require.Greater(t, m.Size(), int64(150_000))
	require.Less(t, m.Size(), int64(152_000))
}

func TestMemoryResistsScans(t *testing.T) {
	m := cache.NewMemory(1 << 20)
	popular := func() (kept int) {
		for i := range 40 {
			if has(t, m, fmt.Sprintf("popular%d", i)) {
				kept++
			} else {
				put(t, m, fmt.Sprintf("popular%d", i), 20_000)
			}
		}
		return kept
	}
	popular()
	popular()
	for i := range 1000 {
		put(t, m, fmt.Sprintf("scan%d", i), 20_000)
		if i%20 == 0 {
			popular()
		}
	}
	require.Greater(t, popular(), 35)
}

func TestEvictedBodiesStayWholeForTheirReaders(t *testing.T) {
	body := string(noise(500_000, 4))
	c := &cache.Transport{Store: cache.NewMemory(1 << 20), Base: &scripted{answer: func(r *http.Request, _ int64) reply {
		if r.URL.String() == segURL {
			return text(body, "Content-Type", "video/mp2t")
		}
		return text(string(noise(400_000, 5)), "Content-Type", "video/mp2t")
	}}}
	fetch(t, c, segURL)
	resp, err := c.RoundTrip(request(t, t.Context(), segURL))
	require.NoError(t, err)
	require.Equal(t, "hlsproxy; hit", resp.Header.Get("Cache-Status"))
	for i := range 20 {
		fetch(t, c, fmt.Sprintf("http://origin.example/%d.ts", i))
	}
	require.NotZero(t, c.Stats().Evictions)
	got := make([]byte, len(body)+1)
	n := 0
	for {
		m, err := resp.Body.Read(got[n:])
		n += m
		if err != nil {
			break
		}
	}
	require.True(t, body == string(got[:n]))
}
