package main

import (
	"html"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve/servetest"
	"github.com/stretchr/testify/require"
)

func start(t *testing.T, args ...string) string { return servetest.Start(t, run, args...).URL }

// do asks as a page of another origin does.
func do(t *testing.T, method, target string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

const playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128,URI=\"key.key\"\n#EXTINF:4,\nseg-1.ts\n#EXT-X-ENDLIST\n"

// folder is a folder of things to serve.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"show/index.m3u8": playlist, "show/seg-1.ts": "a segment", "show/key.key": "0123456789abcdef", "film, the 2nd's (cut).mp4": "a film",
		"two/master.m3u8": "#EXTM3U\n", "two/a.m3u8": playlist, "two/low/index.m3u8": playlist, "notes.txt": "notes", ".hidden/film.mp4": "hidden",
	} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return dir
}

// listed are the links that the page holds.
func listed(t *testing.T, page string) []string {
	t.Helper()
	var links []string
	for _, m := range regexp.MustCompile(`<button value="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		links = append(links, html.UnescapeString(m[1]))
	}
	return links
}

func TestBadFlags(t *testing.T) {
	for says, args := range map[string][]string{
		"-dir is needed": {}, `-dir "/does/not/exist"`: {"-dir", "/does/not/exist"}, `"extra"`: {"-dir", ".", "extra"}, `-addr "127.0.0.1:-1"`: {"-dir", ".", "-addr", "127.0.0.1:-1"},
		"TTL": {"-dir", ".", "-key", "k", "-ttl", "-1s"}, "-key": {"-dir", ".", "-key", ""}, `"media.example" for flag -public`: {"-dir", ".", "-public", "media.example"},
		`"https://media.example/x" for flag -public`: {"-dir", ".", "-public", "https://media.example/x"},
		`"much" for flag -max`:                       {"-dir", ".", "-max", "much"},
	} {
		require.Contains(t, servetest.Fails(t, run, append([]string{"-addr", "127.0.0.1:0"}, args...)...), says)
	}
}

func TestPagesOfOtherNamesCannotReachALoopbackServer(t *testing.T) {
	fakeFFmpeg(t, "finish")
	base := start(t, "-dir", folder(t))
	for host, known := range map[string]bool{"rebound.example": false, "rebound.example:80": false, "localhost:80": true, "127.0.0.1": true, "[::1]:80": true} {
		resp, body := do(t, "POST", base+"/upload", "Host", host, "Origin", "http://"+host)
		require.Equal(t, map[bool]int{true: 400, false: 403}[known], resp.StatusCode, "%s: %s", host, body)
		resp, body = do(t, "GET", base+"/", "Host", host)
		require.Equal(t, map[bool]int{true: 200, false: 403}[known], resp.StatusCode, host)
		require.Equal(t, known, strings.Contains(body, "/vod/"), host)
	}
}
