package films_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hlsproxy/hlsproxy/examples/internal/films"
	"github.com/stretchr/testify/require"
)

// write makes a folder of files with these contents.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	mapped := fstest.MapFS{}
	for name, text := range files {
		mapped[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	require.NoError(t, os.CopyFS(dir, mapped))
}

func open(t *testing.T, dir string) *films.Folder {
	t.Helper()
	f, err := films.Open(dir)
	require.NoError(t, err)
	return f
}

func get(f http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	f.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

const (
	master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow/index.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\nhigh/index.m3u8\n"
	media  = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nseg.ts\n#EXT-X-ENDLIST\n"
)

func TestWhatCanBePlayed(t *testing.T) {
	for name, row := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"films":                    {map[string]string{"b.mp4": "", "a.MOV": "", "notes.txt": "", ".hidden.mp4": "", ".hidden/a.mp4": ""}, []string{"a.MOV", "b.mp4"}},
		"playlists before films":   {map[string]string{"a/x.m3u8": media, "a/seg.mp4": ""}, []string{"a/x.m3u8"}},
		"a ladder is one":          {map[string]string{"f/index.m3u8": master, "f/low/index.m3u8": media, "f/high/index.m3u8": media}, []string{"f/index.m3u8"}},
		"master before index":      {map[string]string{"f/index.m3u8": media, "f/master.m3u8": master}, []string{"f/master.m3u8"}},
		"the folder is a film":     {map[string]string{"master.m3u8": master, "low/index.m3u8": media, "high/index.m3u8": media}, []string{"master.m3u8"}},
		"and something lies in it": {map[string]string{"master.m3u8": master, "low/index.m3u8": media, "upload/index.m3u8": master, "upload/low/index.m3u8": media}, []string{"master.m3u8", "upload/index.m3u8"}},
		"names that climb":         {map[string]string{"master.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n../../x/index.m3u8\n", "x/index.m3u8": media}, []string{"master.m3u8"}},
		"nothing":                  {nil, nil},
	} {
		dir := t.TempDir()
		write(t, dir, row.files)
		require.Equal(t, row.want, open(t, dir).List(), name)
	}
}

// A page in the folder, under any name, must not run with the rights of this server.
func TestPagesInTheFolderAreInert(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.html", "a.SVG", "a.xhtml", "a.xml", "a.pdf", "a", "a.js", "a.jpg"} {
		write(t, dir, map[string]string{name: "<script>alert(1)</script>"})
		w := get(open(t, dir), "/"+name)
		require.Equal(t, 200, w.Code, name)
		require.Contains(t, w.Header().Get("Content-Security-Policy"), "sandbox; default-src 'none'", name)
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"), name)
	}
	write(t, dir, map[string]string{"a.mp4": "<script>", "a.m3u8": media})
	for _, name := range []string{"a.mp4", "a.m3u8"} { // a browser's own player would not play in a sandbox
		w := get(open(t, dir), "/"+name)
		require.Equal(t, 200, w.Code, name)
		require.Empty(t, w.Header().Get("Content-Security-Policy"), name)
		require.NotContains(t, w.Header().Get("Content-Type"), "text/html", name)
	}
}

func TestAFolderThatIsReplacedIsNoticed(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "films")
	write(t, dir, map[string]string{"a.mp4": "old"})
	f := open(t, dir)
	require.Equal(t, "old", get(f, "/a.mp4").Body.String())
	require.NoError(t, os.Rename(dir, filepath.Join(parent, "before")))
	require.Equal(t, "old", get(f, "/a.mp4").Body.String(), "nothing has taken its place")
	write(t, dir, map[string]string{"a.mp4": "new", "b.mp4": ""})
	require.Equal(t, "new", get(f, "/a.mp4").Body.String())
	require.Equal(t, []string{"a.mp4", "b.mp4"}, f.List())
}

func TestOpenNamesTheFlag(t *testing.T) {
	_, err := films.Open("/does/not/exist")
	require.ErrorContains(t, err, `-dir "/does/not/exist": give the path of a folder`)
}

func TestLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("its files have no such names")
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"<b>.mp4": "", "f/index.m3u8": master})
	list := open(t, dir).Links("/vod/", func(path string) (string, error) { return path + "?signed", nil })
	all, err := list(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []films.Film{{Name: "<b>.mp4", Link: "/vod/<b>.mp4?signed"}, {Name: "f", Link: "/vod/f/index.m3u8?signed"}}, all.Films)
	page, err := films.NewPage(list, `{{define "more"}}<i>{{.}}</i>{{end}}`, "<more>")
	require.NoError(t, err)
	w := get(page, "/")
	require.Contains(t, w.Body.String(), "&lt;b&gt;.mp4</button>")
	require.Contains(t, w.Body.String(), "<i>&lt;more&gt;</i>")
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'")
	var out strings.Builder
	require.NoError(t, films.Print(t.Context(), &out, "http://h", list))
	require.Equal(t, "play http://h/vod/<b>.mp4?signed\nplay http://h/vod/f/index.m3u8?signed\n", out.String())
}
