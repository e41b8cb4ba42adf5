package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A channel is ten minutes of TS as a live stream: a sliding window of segments that loops for ever. Its clock starts
// when it is made, so that origins which share it are in step.
type channel struct {
	segments [][]byte
	start    time.Time
}

const segment, window = 2 * time.Second, 4

func newChannel(t testing.TB) *channel {
	t.Helper()
	dir := media(t)
	c := &channel{start: time.Now()}
	for n := range 300 {
		b, err := os.ReadFile(filepath.Join(dir, "window", fmt.Sprintf("seg%d.ts", n)))
		require.NoError(t, err)
		c.segments = append(c.segments, b)
	}
	return c
}

func (c *channel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var n int
	switch name := filepath.Base(r.URL.Path); {
	case name == "index.m3u8":
		w.Header().Set("Cache-Control", "no-cache")
		serveMedia(w, r, c.playlist())
	case scan(name, &n) && n < c.first()+window && n > c.first()-window:
		serveMedia(w, r, c.segments[n%len(c.segments)])
	default:
		http.NotFound(w, r)
	}
}

func scan(name string, n *int) bool {
	_, err := fmt.Sscanf(name, "seg%d.ts", n)
	return err == nil && *n >= 0
}

func (c *channel) first() int { return int(time.Since(c.start) / segment) }

func (c *channel) playlist() []byte {
	first, loop := c.first(), len(c.segments)
	var b strings.Builder
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:%d\n", first)
	fmt.Fprintf(&b, "#EXT-X-DISCONTINUITY-SEQUENCE:%d\n", max(first-1, 0)/loop)
	for n := first; n < first+window; n++ {
		if n > 0 && n%loop == 0 {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		fmt.Fprintf(&b, "#EXTINF:2.0,\nseg%d.ts\n", n)
	}
	return []byte(b.String())
}
