package e2e

import (
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A way is how a player reaches the media.
type way struct {
	name  string
	live  bool // it also serves streams that are no files
	start func(t *testing.T, o *origin) func(playlist string) string
}

var ways = []way{
	{"corsproxy", true, func(t *testing.T, o *origin) func(string) string {
		p := startExample(t, "corsproxy", "-allow", "127.0.0.0/8", "-cache", "256MiB")
		return func(playlist string) string { return p.proxied(o.URL + "/" + playlist) }
	}},
	{"live, signed", true, func(t *testing.T, o *origin) func(string) string {
		return liveLinks(t, startExample(t, "live", liveArgs(o)...))
	}},
	{"live, sealed", true, func(t *testing.T, o *origin) func(string) string {
		return liveLinks(t, startExample(t, "live", append(liveArgs(o), "-seal")...))
	}},
	{"vod", false, func(t *testing.T, _ *origin) func(string) string {
		p := startExample(t, "vod", "-dir", media(t), "-key", "SECRET")
		links := map[string]string{}
		for _, s := range slices.Concat(shapes, extras) {
			links[s.playlist] = p.link(t, "/vod/"+s.playlist+"?")
		}
		links[iframeList] = p.URL + iframeLink(t, links["iframes/master.m3u8"])
		return func(playlist string) string { return links[playlist] }
	}},
	{"edited playlists, fetched ahead", true, edited},
}

// iframeLink is the name of the I-frame playlist in a playlist: a link opens its playlist and what that names.
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

// linked are the playlists with which players begin.
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
	}, time.Minute, 20*time.Millisecond)
	return func(playlist string) string { return links[playlist] }
}
