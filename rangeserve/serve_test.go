package rangeserve_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

func served(c rangeserve.Content, lines ...string) *recorder {
	w, r := &recorder{ResponseRecorder: httptest.NewRecorder()}, httptest.NewRequest("GET", "/", nil)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	rangeserve.Serve(w, r, c)
	return w
}

func TestServeType(t *testing.T) {
	for _, c := range []struct{ kind, name, want string }{
		{"text/x", "a.mp4", "text/x"},
		{"", "a.mp4", "video/mp4"},
		{"", "/dir/A.TS", "video/mp2t"},
		{"", "a.b/c", "application/octet-stream"},
		{"", "", "application/octet-stream"},
	} {
		w := served(rangeserve.Content{ReaderAt: strings.NewReader("<html>"), Size: 6, Type: c.kind, Name: c.name})
		require.Equal(t, c.want, w.Header().Get("Content-Type"))
	}
}

// TestServePlaylistWhole: players request ranges of playlists and want all of them.
func TestServePlaylistWhole(t *testing.T) {
	const text = "#EXTM3U\n#EXT-X-ENDLIST\n"
	for _, c := range []rangeserve.Content{{Name: "a.m3u8"}, {Type: "application/x-mpegURL"}, {Type: "audio/mpegurl", Name: "x"}} {
		c.ReaderAt, c.Size, c.ETag = strings.NewReader(text), int64(len(text)), `"p"`
		for _, header := range []string{"bytes=0-", "bytes=0-1", "bytes=999-"} {
			w := served(c, "Range: "+header)
			require.Equal(t, 200, w.Code)
			require.Equal(t, text, w.Body.String())
			require.Empty(t, w.Header()["Accept-Ranges"])
		}
		require.Equal(t, 304, served(c, "If-None-Match: \"p\"", "Range: bytes=0-1").Code)
		require.Equal(t, 412, served(c, "If-Match: \"q\"").Code)
	}
}

// TestServeKeepsTheCallersHeader in what a cache may keep, and only there.
func TestServeKeepsTheCallersHeader(t *testing.T) {
	for _, c := range []struct {
		lines  []string
		status int
		kept   bool
	}{
		{nil, 200, true}, {[]string{"Range: bytes=0-1"}, 206, true}, {[]string{"If-None-Match: \"e\""}, 304, true},
		{[]string{"Range: bytes=0-1,3-4"}, 206, true},
		{[]string{"Range: bytes=9-"}, 416, false}, {[]string{"If-Match: \"x\""}, 412, false},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		for _, line := range c.lines {
			name, value, _ := strings.Cut(line, ": ")
			r.Header.Set(name, value)
		}
		w.Header().Set("Cache-Control", "max-age=1")
		w.Header().Set("CDN-Cache-Control", "max-age=2")
		w.Header().Set("Etag", `"e"`)
		w.Header().Set("Access-Control-Allow-Origin", "*")
		rangeserve.Serve(w, r, rangeserve.Content{ReaderAt: strings.NewReader("0123456"), Size: 7, Name: "a.ts"})
		require.Equal(t, c.status, w.Code)
		require.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"))
		require.Equal(t, c.kept, w.Header().Get("Cache-Control") == "max-age=1")
		require.Equal(t, c.kept, w.Header().Get("CDN-Cache-Control") == "max-age=2")
		require.Equal(t, c.kept, w.Header().Get("Etag") == `"e"`)
	}
}

func TestServeSendsNoValidatorThatIsNone(t *testing.T) {
	for _, tag := range []string{"", "bare", `"open`, `"a" "b"`, "\"a\nb\"", `w/"a"`, `W/`, `"a b"`} {
		w := served(rangeserve.Content{ETag: tag})
		require.Empty(t, w.Header()["Etag"], tag)
	}
	for _, tag := range []string{`"a"`, `W/"a"`, `""`, `"ü"`, `"!#~"`} {
		require.Equal(t, tag, served(rangeserve.Content{ETag: tag}).Header().Get("Etag"))
	}
	for _, when := range []time.Time{{}, time.Unix(0, 0), time.Now().Add(time.Hour)} {
		require.Empty(t, served(rangeserve.Content{ModTime: when}).Header()["Last-Modified"])
	}
	there := time.Date(2024, 1, 1, 2, 0, 0, 999, time.FixedZone("", 7200))
	require.Equal(t, "Mon, 01 Jan 2024 00:00:00 GMT", served(rangeserve.Content{ModTime: there}).Header().Get("Last-Modified"))
}

func TestServeRefusesAContentThatIsNone(t *testing.T) {
	for _, c := range []rangeserve.Content{{Size: -1}, {Size: 1}} {
		require.Equal(t, 500, served(c).Code)
	}
	require.Equal(t, 200, served(rangeserve.Content{}).Code)
}

// TestServeMemoryFromWhereItLies in pieces of 512 KiB. The position of the reader stays.
func TestServeMemoryFromWhereItLies(t *testing.T) {
	body := bodyOf(2 << 20)
	reader := bytes.NewReader(body)
	c := rangeserve.Content{ReaderAt: reader, Size: int64(len(body)), Name: "a.ts"}
	for header, want := range map[string][]byte{
		"": body, "bytes=5-": body[5:], "bytes=100-1000099": body[100:1_000_100], "bytes=-10": body[len(body)-10:],
	} {
		w := served(c, "Range: "+header)
		const piece = 512 << 10
		require.Len(t, w.writes, (len(want)+piece-1)/piece)
		at := 0
		for _, p := range w.writes {
			require.Len(t, p, min(piece, len(want)-at))
			require.Same(t, &want[at], &p[0])
			at += len(p)
		}
		require.Equal(t, len(want), at)
	}
	require.Equal(t, len(body), reader.Len())
	c.ReaderAt = io.NewSectionReader(reader, 1000, 5000)
	c.Size = 5000
	w := served(c, "Range: bytes=10-19")
	require.Len(t, w.writes, 1)
	require.Same(t, &body[1010], &w.writes[0][0])
}

// sections is a ReaderAt that writes its own parts.
type sections struct {
	io.ReaderAt
	asked []int64
	short int64
}

func (s *sections) WriteSection(w io.Writer, off, n int64) (int64, error) {
	s.asked = append(s.asked, off, n)
	return io.Copy(w, io.NewSectionReader(s, off, n-s.short))
}

func TestServeAsksASectionWriter(t *testing.T) {
	s := &sections{ReaderAt: strings.NewReader("0123456789")}
	w := served(rangeserve.Content{ReaderAt: s, Size: 10}, "Range: bytes=2-4")
	require.Equal(t, "234", w.Body.String())
	require.Equal(t, []int64{2, 3}, s.asked)
	s.short = 1
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { served(rangeserve.Content{ReaderAt: s, Size: 10}) })
}

// TestServeBreaksOffWhenTheSourceIsShort: a body that broke never ends cleanly.
func TestServeBreaksOffWhenTheSourceIsShort(t *testing.T) {
	body := bodyOf(500_000)
	name := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(name, body, 0o600))
	file := openAt(t, name)
	for kind, src := range map[string]io.ReaderAt{
		"bytes": bytes.NewReader(body), "string": strings.NewReader(string(body)), "reader": plainReader{bytes.NewReader(body)},
		"file": file, "section": io.NewSectionReader(file, 0, 500_000), "part of a section": io.NewSectionReader(file, 1, 100),
	} {
		for _, header := range []string{"", "bytes=0-600000", "bytes=499999-", "bytes=600000-", "bytes=0-1,600000-600001"} {
			url := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				rangeserve.Serve(w, r, rangeserve.Content{ReaderAt: src, Size: 1_000_000, Type: "video/mp4"})
			}))
			require.Error(t, broken(t, url, "Range: "+header), "%s %s", kind, header)
		}
	}
}

func TestServeBreaksOffWhenTheClientGoes(t *testing.T) {
	for _, src := range []io.ReaderAt{strings.NewReader("0123"), plainReader{strings.NewReader("0123")}} {
		for _, header := range []string{"", "bytes=0-1", "bytes=0-0,2-2"} {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Range", header)
			require.PanicsWithValue(t, http.ErrAbortHandler, func() {
				rangeserve.Serve(goneWriter{httptest.NewRecorder()}, r, rangeserve.Content{ReaderAt: src, Size: 4})
			})
		}
	}
}

type goneWriter struct{ http.ResponseWriter }

func (goneWriter) Write([]byte) (int, error) { return 0, errors.New("gone") }

// TestServeOtherMethods: any method but GET and HEAD gets a 412 in place of a 304, and no range.
func TestServeOtherMethods(t *testing.T) {
	c := rangeserve.Content{ReaderAt: strings.NewReader("0123"), Size: 4, ETag: `"e"`, ModTime: modified}
	for lines, want := range map[string]int{
		"Range: bytes=0-1": 200, `If-None-Match: "e"`: 412, "If-Modified-Since: " + modified.Format(http.TimeFormat): 200,
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil)
		name, value, _ := strings.Cut(lines, ": ")
		r.Header.Set(name, value)
		rangeserve.Serve(w, r, c)
		require.Equal(t, want, w.Code, lines)
	}
}

// TestServeKeepsPartHeadersInOneLine whatever the type says.
func TestServeKeepsPartHeadersInOneLine(t *testing.T) {
	w := served(rangeserve.Content{ReaderAt: strings.NewReader("0123"), Size: 4, Type: "a/b\r\nX-Evil: 1"}, "Range: bytes=0-0,2-2")
	require.Equal(t, 206, w.Code)
	require.NotContains(t, w.Body.String(), "\nX-Evil")
}

// TestServeMultipartToTheByte checks the form of RFC 9110 section 14.6.
func TestServeMultipartToTheByte(t *testing.T) {
	w := served(rangeserve.Content{ReaderAt: strings.NewReader("0123456789"), Size: 10, Type: "a/b"}, "Range: bytes=0-1,-2")
	boundary, ok := strings.CutPrefix(w.Header().Get("Content-Type"), "multipart/byteranges; boundary=")
	require.True(t, ok)
	require.Equal(t, strings.ReplaceAll("--B\r\nContent-Type: a/b\r\nContent-Range: bytes 0-1/10\r\n\r\n01"+
		"\r\n--B\r\nContent-Type: a/b\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n--B--\r\n", "B", boundary), w.Body.String())
}
