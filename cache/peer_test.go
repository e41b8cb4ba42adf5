package cache_test

import (
	"bytes"
	"io"
	"net/http"
	"sort"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// spread is two caches in a row: slices go to one, wholes to another.
func spread(t *testing.T) (edge, wholes, slices *cache.Transport) {
	t.Helper()
	make := func() *cache.Transport { return &cache.Transport{Store: store(t), MaxBody: 1 << 20} }
	edge, wholes, slices = make(), make(), make()
	edge.Base = trip(func(r *http.Request) (*http.Response, error) {
		if s, ok := cache.SliceOf(r); ok {
			return slices.RoundTripSlice(r, s)
		}
		r.Header.Del("Range")
		return wholes.RoundTrip(r)
	})
	return edge, wholes, slices
}

func TestSlicesAreRequestedFromAnotherCache(t *testing.T) {
	a := newArchive(t, 5<<20+3)
	edge, _, slices := spread(t)
	resp, got := fetch(t, edge, a.URL+"/film.mp4", "Range", "bytes=2097150-")
	require.Equal(t, http.StatusPartialContent, resp.StatusCode)
	require.True(t, bytes.Equal(a.body[2097150:], []byte(got)))
	whole, err := edge.RoundTrip(request(t, t.Context(), a.URL+"/film.mp4"))
	require.NoError(t, err)
	require.True(t, cache.IsSliced(whole))
	whole.Body.Close()
	asked := a.log()
	sort.Strings(asked)
	require.Equal(t, []string{"", "bytes=0-2097151", "bytes=0-2097151", "bytes=2097152-4194303", "bytes=4194304-5242882"}, asked,
		"the whole is asked for once: who has the slices asks for nothing else")
	require.EqualValues(t, 3, slices.Stats().Misses)

	r := request(t, t.Context(), a.URL+"/film.mp4")
	again, err := slices.RoundTripSlice(r, cache.Slice{
		Off: 4 << 20, End: 5<<20 + 3, Length: 5<<20 + 3, Header: head("Etag", `"1"`),
	})
	require.NoError(t, err)
	require.Equal(t, "bytes 4194304-5242882/5242883", again.Header.Get("Content-Range"))
	require.Equal(t, http.StatusPartialContent, again.StatusCode)
	require.False(t, cache.IsSliced(again))
	body, err := io.ReadAll(again.Body)
	require.NoError(t, err)
	require.True(t, bytes.Equal(a.body[4<<20:], body))
	require.Len(t, a.log(), 5, "it is in the store")
}

func TestASliceHasTheVersionOfItsWhole(t *testing.T) {
	a := newArchive(t, 5<<20)
	_, _, slices := spread(t)
	r := request(t, t.Context(), a.URL+"/film.mp4")
	_, err := slices.RoundTripSlice(r, cache.Slice{Off: 2 << 20, End: 4 << 20, Length: 5 << 20, Header: head("Etag", `"other"`)})
	require.ErrorIs(t, err, cache.ErrChanged)
	for name, s := range map[string]cache.Slice{
		"no version":        {Off: 0, End: 2 << 20, Length: 5 << 20, Header: head()},
		"a weak version":    {Off: 0, End: 2 << 20, Length: 5 << 20, Header: head("Etag", `W/"1"`)},
		"off the grid":      {Off: 5, End: 2 << 20, Length: 5 << 20, Header: head("Etag", `"1"`)},
		"too long":          {Off: 0, End: 4 << 20, Length: 5 << 20, Header: head("Etag", `"1"`)},
		"beyond the end":    {Off: 6 << 20, End: 8 << 20, Length: 5 << 20, Header: head("Etag", `"1"`)},
		"before the start":  {Off: -2 << 20, End: 0, Length: 5 << 20, Header: head("Etag", `"1"`)},
		"one of nobody":     {Off: 0, End: 2 << 20, Length: 5 << 20, Header: head("Etag", `"1"`, "Vary", "*")},
		"one without bytes": {Header: head("Etag", `"1"`)},
	} {
		_, err := slices.RoundTripSlice(r, s)
		require.ErrorIs(t, err, cache.ErrBroken, name)
	}
	require.Len(t, a.log(), 1)
}

func TestSliceOfKnowsOnlyRequestsForSlices(t *testing.T) {
	_, ok := cache.SliceOf(request(t, t.Context(), segURL, "Range", "bytes=0-2097151"))
	require.False(t, ok)
}

// What one cache has seen of a restarted encoder, it tells the next one, and another one can be told.
func TestAnotherCacheIsToldThatAnEncoderBeginsAgain(t *testing.T) {
	const segment, other = "http://origin.example/live/live-5.ts", "http://origin.example/live/other.ts"
	for name, vary := range map[string]string{"one": "", "variants": "Accept-Language"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &encoder{vary: vary}
				lists := &cache.Transport{Store: store(t), Base: e}
				tier := trip(func(r *http.Request) (*http.Response, error) {
					r.Header.Set("Hlsproxy-Tier", "1")
					return lists.RoundTrip(r)
				})
				first, late := &cache.Transport{Store: store(t), Base: tier}, &cache.Transport{Store: store(t), Base: tier}
				segments := &cache.Transport{Store: store(t), Base: e}
				ask := func(url string) *http.Request { return request(t, t.Context(), url, "Accept-Language", "de") }
				get := func(rt http.RoundTripper, url string) string {
					resp, got := fetch(t, rt, url, "Accept-Language", "de")
					require.NotContains(t, resp.Header, "Hlsproxy-Restarted", "viewers do not see it")
					return got
				}
				e.set(1, 5, 3, "")
				require.Contains(t, get(first, listURL), "#GENERATION:1")
				require.Equal(t, "1", get(segments, segment))
				require.Equal(t, "1", get(segments, other))
				require.Zero(t, first.NotBefore(ask(segment)))

				time.Sleep(3 * time.Second)
				e.set(2, 3, 5, "")
				began := time.Now()
				for _, c := range []*cache.Transport{first, late} {
					require.Contains(t, get(c, listURL), "#GENERATION:2")
					require.WithinDuration(t, began, c.NotBefore(ask(segment)), time.Millisecond)
					require.Zero(t, c.NotBefore(ask(other)))
					time.Sleep(700 * time.Millisecond)
				}
				require.Equal(t, "1", get(segments, segment), "nobody has told it yet")
				for range 3 {
					require.NoError(t, segments.Outdate(ask(segment), began))
					require.NoError(t, segments.Outdate(ask(other), began.Add(-time.Hour)))
					require.Equal(t, "2", get(segments, segment))
					require.Equal(t, "1", get(segments, other))
				}
				require.EqualValues(t, 3, segments.Stats().Misses)
			})
		})
	}
	c := &cache.Transport{Key: func(*http.Request) string { panic("Key") }}
	require.ErrorIs(t, c.Outdate(request(t, t.Context(), segURL), time.Now()), cache.ErrHook)
	require.Zero(t, c.NotBefore(request(t, t.Context(), segURL)))
}
