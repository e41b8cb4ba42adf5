//go:build !race

package cache_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// An unused entry, with the usual header of an origin behind nginx, takes less than 1 KiB of heap besides its body, and no more
// than the Memory counts for it. The race detector would double that.
func TestAnIdleEntryIsSmall(t *testing.T) {
	const entries, size = 20_000, 1000
	o := &scripted{answer: func(r *http.Request, n int64) reply {
		return text(string(noise(size, uint64(n))), "Server", "nginx/1.24.0", "Date", "Wed, 25 Nov 2026 13:00:00 GMT", "Content-Type", "video/mp2t",
			"Content-Length", fmt.Sprint(size), "Last-Modified", "Wed, 25 Nov 2026 12:00:00 GMT", "Connection", "keep-alive",
			"ETag", fmt.Sprintf(`"6565%04x-%x"`, n, size), "Cache-Control", "public, max-age=3600", "Accept-Ranges", "bytes",
			"X-Request-Id", fmt.Sprintf("%032x", n))
	}}
	m := cache.NewMemory(256 << 20)
	c := &cache.Transport{Base: o, Store: m}
	fetch(t, c, "http://media.example.com/warm/up.ts")
	before := heap()
	for i := range entries {
		fetch(t, c, fmt.Sprintf("http://media.example.com/live/channel7/720p/segment-%08d.ts", i))
	}
	each := float64(heap()-before) / entries
	counted := float64(m.Size())/entries - size
	t.Logf("%.0f bytes of heap, %.0f counted", each, counted)
	require.Equal(t, entries+1, m.Len())
	require.Less(t, each, 1024.0)
	require.Less(t, each, counted)
}
