package cache_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
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

// A Memory keeps entries in another form, and returns what it was given.
func TestMemoryKeepsEveryField(t *testing.T) {
	long := strings.Repeat("x", 20_000)
	for name, e := range map[string]*cache.Entry{
		"nothing":       {},
		"a note":        {URL: "k", Vary: http.Header{"Accept": {}}, TTL: time.Hour},
		"empty header":  {URL: "http://o/x", Status: 204, Header: http.Header{}, Vary: http.Header{}},
		"usual":         {URL: "k", Status: 200, Header: head("Content-Type", "video/mp2t", "ETag", `"e"`, "X-Timer", "1", "Accept", "", "Date", "")},
		"unusual":       {URL: "", Status: 599, Header: http.Header{"X-A": {"1", "", "2"}, "": {"\x00\xff"}, "lower": {"a,b"}, "X-Long": {long}, long: {"x"}}},
		"varies":        {URL: "http://o/x", Status: 200, Header: head("Vary", "Accept, X-B"), Vary: http.Header{"Accept": {"a", "b"}, "X-B": {}}},
		"in slices":     {URL: "k", Status: 200, Sliced: 1 << 40, Time: time.Now(), TTL: -1},
		"with a body":   {URL: "k", Status: 206, Header: head("Age", "1"), Body: cache.Bytes([]byte("body"))},
		"many fields":   {URL: "k", Header: many(300)},
		"many segments": {URL: "k", Body: cache.Bytes(noise(1<<20, 1))},
	} {
		m := store(t)
		require.NoError(t, m.Put(t.Context(), "k", e))
		got, err := m.Get(t.Context(), "k")
		require.NoError(t, err)
		require.NotNil(t, got, name)
		if e.Body != nil {
			body, err := io.ReadAll(io.NewSectionReader(got.Body, 0, got.Body.Size()))
			require.NoError(t, err)
			want, _ := io.ReadAll(io.NewSectionReader(e.Body, 0, e.Body.Size()))
			require.Equal(t, want, body, name)
		}
		got.Body, e.Body = nil, nil
		require.Equal(t, e, got, name)
	}
}

func many(n int) http.Header {
	h := http.Header{}
	for i := range n {
		h.Add("X-"+strconv.Itoa(i), strings.Repeat("v", i))
	}
	return h
}

// A viewer some segments behind another finds them, whatever else is requested meanwhile. The numbers alone, in files that
// nobody watches in order, mean nothing.
func TestMemoryKeepsWhatAViewerIsOnTheWayTo(t *testing.T) {
	for name, row := range map[string]struct {
		format  string
		inOrder bool
		atLeast int
		atMost  int
	}{
		"numbered":        {"http://o/film/seg%d.mp4", true, 22, 24},
		"with zeros":      {"http://o/film/%05d.ts?token=1", true, 22, 24},
		"slices":          {"http://o/film2.mp4\x00slice\x00\"1.0\"\x00%d", true, 22, 24},
		"another order":   {"http://o/film/seg%d.mp4", false, 0, 12},
		"another's count": {"http://o/%d/seg.mp4", true, 0, 8},
	} {
		t.Run(name, func(t *testing.T) {
			m := cache.NewMemory(1 << 20)
			key := func(i int) string { return fmt.Sprintf(row.format, 95+i) }
			for i := range 30 {
				put(t, m, key(i), 20_000)
			}
			kept := 0
			for step := range 30 {
				i := step
				if !row.inOrder {
					i = step * 17 % 30
				}
				if has(t, m, key(i)) && step >= 6 {
					kept++
				}
				for j := range 4 {
					if step >= 6 {
						put(t, m, fmt.Sprintf("scan%d", 4*step+j), 20_000)
					}
				}
			}
			require.GreaterOrEqual(t, kept, row.atLeast)
			require.LessOrEqual(t, kept, row.atMost)
		})
	}
}

// counting is a caller's Store that embeds a Memory.
type counting struct {
	*cache.Memory
	puts int
}

func (c *counting) Put(ctx context.Context, key string, e *cache.Entry) error {
	c.puts++
	return c.Memory.Put(ctx, key, e)
}

// The Transport treats a Store that embeds a Memory like a Memory: hits cost as little, fills lie within its bound, and
// segments that live playlists name stay.
func TestAStoreThatEmbedsAMemory(t *testing.T) {
	s := &counting{Memory: cache.NewMemory(1 << 20)}
	more := make(chan struct{})
	o := &scripted{answer: func(r *http.Request, _ int64) reply {
		switch r.URL.Path {
		case "/list.m3u8":
			return text(live(2, "named.ts"))
		case "/slow.ts":
			return reply{body: io.MultiReader(strings.NewReader(strings.Repeat("x", 500_000)), after(more)), length: 500_000}
		}
		return text(strings.Repeat("x", 100_000))
	}}
	c := &cache.Transport{Store: s, Base: o, Refs: linesOf}
	fetch(t, c, "http://o/named.ts")
	fetch(t, c, "http://o/list.m3u8")
	for i := range 30 {
		fetch(t, c, fmt.Sprintf("http://o/%d.ts", i))
	}
	require.True(t, has(t, s.Memory, "http://o/named.ts"))
	require.EqualValues(t, 32, s.puts)
	require.NotZero(t, c.Stats().Evictions)

	_, err := c.PurgePrefix(t.Context(), "")
	require.NoError(t, err)
	resp, err := c.RoundTrip(request(t, t.Context(), "http://o/slow.ts"))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Eventually(t, func() bool { return s.Size() >= 500_000 }, time.Minute, time.Millisecond)
	close(more)
	fetch(t, c, "http://o/1.ts")
	r := request(t, t.Context(), "http://o/1.ts")
	if !raceEnabled {
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
			resp, err := c.RoundTrip(r)
			require.NoError(t, err)
			resp.Body.Close()
		}), 10.0)
	}
}
