package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The matrix is every shape in every player through every proxy. Without HLSPROXY_MATRIX=full in the environment it is
// every shape in every player through one of them, and a few shapes in a few players through the others.

// A cell is one player that plays one shape through one way.
type cell struct {
	shape shape
	seek  bool
	extra bool // also the parts of the shape beyond picture and sound
	link  func(playlist string) string
}

// matrixShapes are the rows.
func matrixShapes() []shape {
	return slices.Concat(shapes, extras, []shape{
		{"live window", "window/index.m3u8", ""},
		{"LL-HLS", "hls/live/master.m3u8", ""},
	})
}

func TestMatrix(t *testing.T) {
	full := os.Getenv("HLSPROXY_MATRIX") == "full" || *update
	results := &results{}
	var all sync.WaitGroup
	for i, w := range ways {
		all.Go(func() {
			t.Run(w.name, func(t *testing.T) {
				o := startOrigin(t, matrixFiles(t))
				link := w.start(t, o)
				eachCell(t, func(s shape, p player) bool {
					chosen := s.look() == "thumbnails" && p.does("thumbnails") || (s.name == "TS" || s.name == "separate audio" || s.look() == "breaks") && (p.name == "ffmpeg" || p.name == "hls.js" || p.name == "Chromium")
					return (w.live || !s.live()) && (full || i == 0 || chosen)
				}, func(t *testing.T, s shape, p player) {
					limit := limitOf(s, p)
					if limit.plays {
						results.set(w.name, s, p, "no")
						t.Skip(limit.reason)
					}
					c := cell{s, !limit.seeks, p.does(s.look()), link}
					err := playsCell(t, p, c, patience(limit))
					results.set(w.name, s, p, c.mark(err))
					require.NoError(t, err)
				})
				o.requireProxied(t)
			})
		})
	}
	all.Go(func() { t.Run("straight", controls) })
	all.Wait()
	if *update && !t.Failed() {
		results.write(t)
	}
}

// matrixFiles are the files of all shapes. A demo makes the low-latency one.
func matrixFiles(t *testing.T) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", folder(media(t)))
	mux.Handle("/window/", newChannel(t))
	mux.Handle("/hls/", lowLatency(t))
	return mux
}

// requireProxied requires that no player reached the origin directly.
func (o *origin) requireProxied(t *testing.T) {
	t.Helper()
	for _, r := range o.seen() {
		for _, name := range []string{"Origin", "Cookie", "Sec-Fetch-Mode", "Icy-Metadata"} {
			require.Empty(t, r.Header.Get(name), "%s %s", name, r.URL)
		}
	}
	for _, s := range shapes {
		if s.name != "AES-128" { // keys are never kept
			require.LessOrEqual(t, o.asked("/"+s.asked), 1, "the players of %s shared what the first one fetched", s.name)
		}
	}
}

// eachCell runs a test for each cell, as many at a time as the lanes of the players allow.
func eachCell(t *testing.T, wanted func(shape, player) bool, test func(*testing.T, shape, player)) {
	var cells sync.WaitGroup
	defer cells.Wait()
	for _, s := range matrixShapes() {
		for _, p := range players {
			if !wanted(s, p) {
				continue
			}
			cells.Go(func() {
				p.lane <- struct{}{}
				defer func() { <-p.lane }()
				t.Run(p.name+"/"+s.name, func(t *testing.T) {
					requirePlayer(t, p)
					test(t, s, p)
				})
			})
		}
	}
}

func playsCell(t *testing.T, p player, c cell, d time.Duration) error {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return p.plays(ctx, c)
}

func requirePlayer(t *testing.T, p player) {
	t.Helper()
	requireTool(t, p.tool)
	if p.version == nil || strings.Contains(p.name, "hls.js") {
		requireHLSJS(t)
	}
	if p.name == "VLC" {
		requireTool(t, "ffprobe")
	}
	if p.browser != nil {
		require.NoError(t, p.browser.ready())
	}
}

// versionOf is the version that a player reports.
func (p player) versionOf() (string, error) {
	if p.version == nil {
		return packageVersion(strings.ToLower(p.name))
	}
	out, err := output(context.Background(), nil, p.version[0], p.version[1:]...)
	if err != nil {
		return "", fmt.Errorf("%s: %w", p.name, err)
	}
	return versionNumber.FindString(strings.ReplaceAll(string(out), p.tool, "")), nil
}
