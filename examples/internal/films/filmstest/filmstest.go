// Package filmstest has a folder of films for tests, and sends requests to the programs that serve one.
package filmstest

import (
	"html"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve/servetest"
	"github.com/stretchr/testify/require"
)

// Playlist names a key and a segment beside it.
const Playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128,URI=\"key.key\"\n#EXTINF:4,\nseg-1.ts\n#EXT-X-ENDLIST\n"

// Folder is a folder to serve: a film, two titles, and files that nobody may see.
func Folder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"show/index.m3u8": Playlist, "show/seg-1.ts": "a segment", "show/key.key": "0123456789abcdef", "film, the 2nd's (cut).mp4": "a film",
		"two/master.m3u8": "#EXTM3U\n", "two/a.m3u8": Playlist, "two/low/index.m3u8": Playlist, "notes.txt": "notes", ".hidden/film.mp4": "hidden",
	} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return dir
}

var button = regexp.MustCompile(`<button value="([^"]*)">([^<]*)</button>`)

// Links are the links on a page.
func Links(page string) []string { return column(page, 1) }

// Names are the names of the films on a page.
func Names(page string) []string { return column(page, 2) }

func column(page string, n int) (texts []string) {
	for _, m := range button.FindAllStringSubmatch(page, -1) {
		texts = append(texts, html.UnescapeString(m[n]))
	}
	return texts
}

// Do sends a request with these header fields (Host is allowed), and returns the answer with its body. It follows no redirect.
func Do(t testing.TB, method, target string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	return servetest.Answer(t, r)
}
