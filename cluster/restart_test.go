package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cluster"
	"github.com/stretchr/testify/require"
)

// apart is a Directory in which one node holds the playlists and another one the segments.
type apart struct{ lists, segments string }

func (d apart) Holder(_ context.Context, key, _ string) (string, error) {
	if strings.Contains(key, ".m3u8") {
		return d.lists, nil
	}
	return d.segments, nil
}

func (d apart) Take(_ context.Context, _, _, self string) (string, error) { return self, nil }

// A restarted encoder uses its old names. The node that holds the segments need not see the playlist, and a node may see only
// its new version: still no viewer gets a segment of the earlier programme.
func TestAnEncoderThatBeginsAgainBehindANode(t *testing.T) {
	for name, row := range map[string]struct {
		header  http.Header
		viewers []int
	}{
		"without validators": {viewers: []int{0, 1, 2, 3}},
		"with tags":          {header: http.Header{"Etag": {"by generation"}}, viewers: []int{0, 3, 2, 1}},
		"variants":           {header: http.Header{"Vary": {"Accept-Language"}}, viewers: []int{0, 2, 3, 1}},
		"a new viewer first": {viewers: []int{3, 0, 1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			var generation atomic.Int64
			o := origin(t, func(w http.ResponseWriter, r *http.Request) {
				g := generation.Load()
				if strings.HasSuffix(r.URL.Path, ".m3u8") {
					w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
					fmt.Fprintf(w, "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXTINF:1,\n0.ts\n#EXTINF:1,\n1.ts\n", 9-9*g)
					return
				}
				for field, values := range row.header {
					w.Header()[field] = values
				}
				if row.header["Etag"] != nil {
					w.Header().Set("ETag", fmt.Sprintf(`"%d"`, g))
				}
				w.Header().Set("Content-Type", "video/mp2t")
				fmt.Fprintf(w, "generation %d", g)
			})
			nodes := start(t, 4, func(_ int, urls []string) cluster.Directory { return apart{urls[1], urls[2]} }, nil)
			watch := func(viewer int, want string) {
				t.Helper()
				_, list := fetch(t, nodes[viewer], o.URL+"/live/i.m3u8")
				require.Equal(t, want == "generation 1", strings.Contains(string(list), "SEQUENCE:0"))
				for i := range 2 {
					_, got := fetch(t, nodes[viewer], fmt.Sprintf("%s/live/%d.ts", o.URL, i), "Accept-Language", "de")
					require.Equal(t, want, string(got), "node %d", viewer)
				}
			}
			watch(0, "generation 0")
			generation.Store(1)
			time.Sleep(700 * time.Millisecond) // the playlist is fresh for half a second
			fetch(t, nodes[1], o.URL+"/live/i.m3u8")
			for _, viewer := range row.viewers {
				watch(viewer, "generation 1")
			}
			// Each node may have it asked for once more, because it hears of that a little later, and may forget all variants.
			require.LessOrEqual(t, o.count("GET /live/0.ts"), 1+2*len(nodes))
			for tries := 20; ; tries-- { // a later version says nothing new, but a busy node may hear of the first one late
				for _, n := range nodes {
					time.Sleep(200 * time.Millisecond)
					fetch(t, n, o.URL+"/live/i.m3u8")
				}
				asked := o.count("GET /live/0.ts") + o.count("GET /live/1.ts")
				for viewer := range nodes {
					watch(viewer, "generation 1")
				}
				if o.count("GET /live/0.ts")+o.count("GET /live/1.ts") == asked {
					break
				}
				require.Positive(t, tries)
			}
		})
	}
}
