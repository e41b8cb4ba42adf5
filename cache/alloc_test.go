//go:build !race

package cache_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// A hit costs the header of its answer and little else.
func TestAHitAllocatesLittle(t *testing.T) {
	c := &cache.Transport{Store: store(t), Base: &scripted{answer: func(r *http.Request, _ int64) reply {
		return text("segment", "Content-Type", "video/mp2t", "ETag", `"1"`, "Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT",
			"Date", "Mon, 02 Jan 2006 15:04:05 GMT", "Server", "x", "Cache-Control", "max-age=1000000")
	}}}
	for name, row := range map[string]struct {
		header []string
		most   float64
	}{
		"whole":        {nil, 9},
		"range":        {[]string{"Range", "bytes=1-3"}, 8},
		"not modified": {[]string{"If-None-Match", `"1"`}, 10},
	} {
		fetch(t, c, segURL)
		r := request(t, t.Context(), segURL, row.header...)
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
			resp, err := c.RoundTrip(r)
			require.NoError(t, err)
			if to, ok := resp.Body.(io.WriterTo); ok {
				_, err = to.WriteTo(io.Discard)
				require.NoError(t, err)
			}
			require.NoError(t, resp.Body.Close())
		}), row.most, name)
	}
}
