package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/examples/internal/films/filmstest"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve/servetest"
	"github.com/stretchr/testify/require"
)

func start(t *testing.T, args ...string) string { return servetest.Start(t, run, args...).URL }

func TestFilmsAndPlaylists(t *testing.T) {
	base := start(t, "-dir", filmstest.Folder(t))
	resp, page := filmstest.Do(t, "GET", base+"/")
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, []string{"/vod/film,%20the%202nd%27s%20%28cut%29.mp4", "/vod/show/index.m3u8", "/vod/two/master.m3u8"}, filmstest.Links(page))
	require.Contains(t, page, ">show</button>")
	for _, link := range filmstest.Links(page) {
		resp, _ := filmstest.Do(t, "GET", base+link)
		require.Equal(t, 200, resp.StatusCode, link)
	}

	resp, body := filmstest.Do(t, "GET", base+"/vod/show/index.m3u8", "Origin", "https://page.example", "Range", "bytes=0-")
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "application/vnd.apple.mpegurl", resp.Header.Get("Content-Type"))
	require.Contains(t, body, "#EXT-X-ENDLIST\n")
	resp, body = filmstest.Do(t, "GET", base+"/vod/show/seg-1.ts", "Range", "bytes=2-4")
	require.Equal(t, 206, resp.StatusCode)
	require.Equal(t, "bytes 2-4/9", resp.Header.Get("Content-Range"))
	require.Equal(t, "video/mp2t", resp.Header.Get("Content-Type"))
	require.Equal(t, "seg", body)

	for _, path := range []string{"/vod/", "/vod/show", "/vod/none.ts", "/vod/.hidden/film.mp4", "/vod/%2ehidden/film.mp4", "/vod/%2e%2e/x", "/other"} {
		resp, _ := filmstest.Do(t, "GET", base+path)
		require.Equal(t, 404, resp.StatusCode, path)
	}
}

func TestSignedLinks(t *testing.T) {
	base := start(t, "-dir", filmstest.Folder(t), "-key", "correct horse")
	for _, password := range []string{"", "wrong"} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", base+"/", nil)
		require.NoError(t, err)
		if password != "" {
			r.SetBasicAuth("me", password)
		}
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		require.NoError(t, err)
		require.Equal(t, 401, resp.StatusCode)
		require.Contains(t, resp.Header.Get("WWW-Authenticate"), "Basic")
		require.NotContains(t, string(body), "/vod/")
	}
	_, page := filmstest.Do(t, "GET", base+"/", "Authorization", "Basic bWU6Y29ycmVjdCBob3JzZQ==") // me:correct horse
	links := filmstest.Links(page)
	require.Len(t, links, 3)
	for _, link := range links {
		resp, body := filmstest.Do(t, "GET", base+link)
		require.Equal(t, 200, resp.StatusCode, "%s: %s", link, body)
		path, _, signed := strings.Cut(link, "?")
		require.True(t, signed)
		resp, _ = filmstest.Do(t, "GET", base+path, "Origin", "https://page.example")
		require.Equal(t, 401, resp.StatusCode, path)
		require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"))
	}
	_, body := filmstest.Do(t, "GET", base+links[1])
	children := regexp.MustCompile(`/vod/show/(?:key\.key|seg-1\.ts)\?[^"\n]+`).FindAllString(body, -1)
	require.Len(t, children, 2, body)
	for _, child := range children {
		resp, _ := filmstest.Do(t, "GET", base+child)
		require.Equal(t, 200, resp.StatusCode, child)
		resp, _ = filmstest.Do(t, "GET", base+strings.Replace(child, "/show/", "/two/low/", 1))
		require.Equal(t, 403, resp.StatusCode, "a link opens what it names only")
	}
}

// TestInterstitialsAreNamedByWholeURLs: players demand absolute URLs of interstitials. All other names stay on this server.
func TestInterstitialsAreNamedByWholeURLs(t *testing.T) {
	dir := t.TempDir()
	text := "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nseg-1.ts\n" +
		`#EXT-X-DATERANGE:ID="a",CLASS="com.apple.hls.interstitial",START-DATE="2024-01-01T00:00:00Z",X-ASSET-URI="ad/index.m3u8"` + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.m3u8"), []byte(text), 0o644))
	for _, key := range [][]string{nil, {"-key", "k"}} {
		for public, args := range map[string][]string{"": nil, "https://media.example": {"-public", "https://media.example"}} {
			base := start(t, append(append(args, key...), "-dir", dir)...)
			if public == "" {
				public = base
			}
			_, page := filmstest.Do(t, "GET", base+"/", "Authorization", "Basic bWU6aw==") // me:k
			_, body := filmstest.Do(t, "GET", base+filmstest.Links(page)[0])
			require.Contains(t, body, `X-ASSET-URI="`+public+`/vod/ad/index.m3u8`)
			require.Contains(t, body, "\n/vod/seg-1.ts")
		}
	}
}

func TestBadFlags(t *testing.T) {
	for says, args := range map[string][]string{
		"-dir is needed": {}, `-dir "/does/not/exist"`: {"-dir", "/does/not/exist"}, `"extra"`: {"-dir", ".", "extra"}, `-addr "127.0.0.1:-1"`: {"-dir", ".", "-addr", "127.0.0.1:-1"},
		"TTL": {"-dir", ".", "-key", "k", "-ttl", "-1s"}, "-key": {"-dir", ".", "-key", ""}, `"media.example" for flag -public`: {"-dir", ".", "-public", "media.example"},
		`"https://media.example/x" for flag -public`: {"-dir", ".", "-public", "https://media.example/x"},
	} {
		require.Contains(t, servetest.Fails(t, run, append([]string{"-addr", "127.0.0.1:0"}, args...)...), says)
	}
}

// A page of another site, whose host name now leads to this address, must not read the films.
func TestPagesOfOtherNamesCannotReachALoopbackServer(t *testing.T) {
	base := start(t, "-dir", filmstest.Folder(t))
	for host, status := range map[string]int{"rebound.example": 403, "rebound.example:80": 403, "localhost:80": 200, "127.0.0.1": 200, "[::1]:80": 200} {
		resp, body := filmstest.Do(t, "GET", base+"/", "Host", host)
		require.Equal(t, status, resp.StatusCode, host)
		require.Equal(t, status == 200, strings.Contains(body, "/vod/"), host)
	}
}
