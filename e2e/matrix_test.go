package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The matrix is every shape in every player through every proxy. Without HLSPROXY_MATRIX=full in the environment it is
// every shape in every player through one of them, and a few shapes in every player through the others.

// A cell is one player that plays one shape from somewhere.
type cell struct {
	shape shape
	seek  bool
	extra bool // also what the shape has beyond picture and sound
	link  func(playlist string) string
}

// matrixShapes are the rows.
func matrixShapes() []shape {
	return slices.Concat(shapes, extras, []shape{
		{"live window", "window/index.m3u8", ""},
		{"LL-HLS", "hls/live/master.m3u8", ""},
	})
}

// A way is how a player gets at the media.
type way struct {
	name     string
	live     bool // it also serves what is not a file
	relative bool // it does not make URLs of interstitials absolute
	start    func(t *testing.T, o *origin) func(playlist string) string
}

var ways = []way{
	{"corsproxy", true, false, func(t *testing.T, o *origin) func(string) string {
		p := startExample(t, "corsproxy", "-allow", "127.0.0.0/8", "-cache", "256MiB")
		return func(playlist string) string { return p.proxied(o.URL + "/" + playlist) }
	}},
	{"live, signed", true, false, func(t *testing.T, o *origin) func(string) string {
		return liveLinks(t, startExample(t, "live", liveArgs(o)...))
	}},
	{"live, sealed", true, false, func(t *testing.T, o *origin) func(string) string {
		return liveLinks(t, startExample(t, "live", append(liveArgs(o), "-seal")...))
	}},
	{"vod", false, true, func(t *testing.T, _ *origin) func(string) string {
		p := startExample(t, "vod", "-dir", media(t), "-key", "SECRET")
		links := map[string]string{}
		for _, s := range slices.Concat(shapes, extras) {
			links[s.playlist] = p.link(t, "/vod/"+s.playlist+"?")
		}
		links[iframeList] = p.URL + iframeLink(t, links["iframes/master.m3u8"])
		return func(playlist string) string { return links[playlist] }
	}},
}

// iframeLink is what a playlist calls its I-frame playlist: a link opens its playlist and what that names.
func iframeLink(t *testing.T, master string) string {
	t.Helper()
	resp, err := http.Get(master)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	found := regexp.MustCompile(`I-FRAME-STREAM-INF:.*URI="(.*?)"`).FindSubmatch(text)
	require.NotNil(t, found, "%s", text)
	return string(found[1])
}

func liveArgs(o *origin) []string {
	args := []string{"-origin", o.URL, "-allow", "127.0.0.0/8", "-cache", "256MiB", "-key", "SECRET"}
	for _, playlist := range linked() {
		args = append(args, "-link", "/live/"+playlist)
	}
	return args
}

// linked are the playlists that players begin with.
func linked() []string {
	list := []string{iframeList}
	for _, s := range matrixShapes() {
		list = append(list, s.playlist)
	}
	return list
}

// liveLinks waits for what live prints for each of linked.
func liveLinks(t *testing.T, s *server) func(playlist string) string {
	t.Helper()
	links := map[string]string{}
	require.Eventually(t, func() bool {
		var found []string
		for line := range strings.Lines(s.stdout.text()) {
			if link, ok := strings.CutPrefix(line, "play "); ok {
				found = append(found, strings.TrimSpace(link))
			}
		}
		for i, playlist := range linked()[:min(len(found), len(linked()))] {
			links[playlist] = found[i]
		}
		return len(links) == len(linked())
	}, 10*time.Second, 20*time.Millisecond)
	return func(playlist string) string { return links[playlist] }
}

func TestMatrix(t *testing.T) {
	full := os.Getenv("HLSPROXY_MATRIX") == "full" || *update
	results := &results{}
	var all sync.WaitGroup
	for i, w := range ways {
		all.Go(func() {
			t.Run(w.name, func(t *testing.T) {
				o := newMatrixOrigin(t)
				link := w.start(t, o)
				eachCell(t, func(s shape, p player) bool {
					return (w.live || !s.live()) && (full || i == 0 || s.name == "TS" || s.name == "separate audio")
				}, func(t *testing.T, s shape, p player) {
					limit := limitOf(s, p)
					if limit.plays {
						results.set(w.name, s, p, "no")
						t.Skip(limit.reason)
					}
					c := cell{s, !limit.seeks, p.does(s.look()) && !(w.relative && s.look() == "breaks"), link}
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

// newMatrixOrigin serves all shapes, the low-latency one on behalf of a demo.
func newMatrixOrigin(t *testing.T) *origin {
	o := newOrigin(t, media(t))
	mux := http.NewServeMux()
	mux.Handle("/", o.files)
	mux.Handle("/window/", newChannel(t))
	mux.Handle("/hls/", lowLatency(t))
	o.files = mux
	return o
}

// requireProxied requires that no player came to the origin itself.
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

// eachCell runs a test for each cell, as many at a time as the lanes of the players hold.
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
}

// versionOf is what a player says it is.
func (p player) versionOf() (string, error) {
	if p.version == nil {
		return packageVersion(strings.ToLower(p.name))
	}
	out, err := exec.Command(p.version[0], p.version[1:]...).Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", p.name, err)
	}
	return versionNumber.FindString(string(out)), nil
}
