package cache_test

import (
	"bytes"
	"io"
	"net/http"
	"sort"
	"testing"

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
