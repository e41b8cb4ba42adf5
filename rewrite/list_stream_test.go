package rewrite_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// channels is an IPTV list of so many bytes or a few more.
func channels(size int, eol string) []byte {
	var b bytes.Buffer
	b.WriteString(`#EXTM3U x-tvg-url="http://tv.example/guide.xml,http://other.example/2.xml"` + eol)
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, `#EXTINF:-1 tvg-id="%d" tvg-logo="http://tv.example/logo/%d.png" group-title="News",Channel %d%s`, i, i, i, eol)
		switch i % 7 {
		case 1:
			fmt.Fprintf(&b, "#EXTVLCOPT:http-referrer=https://site.example/%d%s", i, eol)
		case 2:
			b.WriteString("#KODIPROP:inputstream.adaptive.common_headers=User-Agent=x" + eol)
		case 3:
			fmt.Fprintf(&b, "http://tv.example/%d.m3u8|Referer=https://site.example/%s", i, eol)
			continue
		case 4:
			fmt.Fprintf(&b, "http://other.example/%d.m3u8%s", i, eol)
			continue
		case 5:
			b.WriteString(eol + "#EXTM3U" + eol + "# a comment" + eol)
		}
		fmt.Fprintf(&b, "http://tv.example/%d.m3u8%s", i, eol)
	}
	b.WriteString("#EXTINF:-1,without end")
	return b.Bytes()
}

// unevenly reads pieces of any length.
type unevenly struct {
	r   io.Reader
	rnd *rand.Rand
}

func (u unevenly) Read(p []byte) (int, error) {
	return u.r.Read(p[:min(len(p), 1+u.rnd.IntN(64<<10))])
}

type closes struct {
	io.Reader
	closed *bool
}

func (c closes) Close() error { *c.closed = true; return nil }

func listResponse(body io.Reader, length int) (resp *http.Response, closed *bool) {
	closed = new(bool)
	r, _ := http.NewRequest(http.MethodGet, "http://list.example/all.m3u", nil)
	return &http.Response{
		StatusCode: 200, Request: r, Body: closes{body, closed}, ContentLength: int64(length),
		Header: http.Header{"Content-Type": {"audio/x-mpegurl"}, "Etag": {`"x"`}},
	}, closed
}

// A list that goes through as it comes is the same as one that is held.
func TestLongListsAreTheSame(t *testing.T) {
	m, err := rewrite.Prefix("/", "http://tv.example/")
	require.NoError(t, err)
	seen := hintsSeen{m}
	for name, rw := range map[string]rewrite.Rewriter{
		"plain":  {Map: m},
		"hints":  {Map: seen, Hints: true, Guides: true, Public: "https://me"},
		"drops":  {Map: seen, Hints: true, Unmapped: rewrite.DropUnmapped},
		"signed": {Map: seen, Guides: true, Sign: rewrite.SignFunc(tokens)},
	} {
		for _, eol := range []string{"\n", "\r\n"} {
			text := channels(1<<20, eol)
			want, err := rw.Append(t.Context(), nil, text, "http://list.example/all.m3u")
			require.NoError(t, err)
			rw.MaxSize = 64 << 20
			resp, closed := listResponse(unevenly{bytes.NewReader(text), rand.New(rand.NewPCG(1, 2))}, len(text))
			require.NoError(t, rw.ModifyResponse(resp))
			require.EqualValues(t, -1, resp.ContentLength, name)
			require.Empty(t, resp.Header["Etag"])
			require.Empty(t, resp.Header["Content-Length"])
			got, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got), "%s: %d bytes instead of %d", name, len(got), len(want))
			require.NoError(t, resp.Body.Close())
			require.True(t, *closed)
		}
	}
}

// What the first entry says of all of them counts for pieces without it as well.
func TestLongListsNameAllEntriesAlike(t *testing.T) {
	text := bytes.ReplaceAll(channels(3<<19, "\n"), []byte(".m3u8"), nil)
	rw := &rewrite.Rewriter{Map: rewrite.Query("/q", "u"), MaxSize: 64 << 20}
	for _, first := range []string{"#EXTINF:-1", "#EXTINF:0", "#EXT-X-MAP:URI=\"i.mp4\"\n#EXTINF:0"} {
		list := bytes.Replace(text, []byte("#EXTINF:-1"), []byte(first), 1)
		want, err := rw.Append(t.Context(), nil, list, "http://list.example/all.m3u")
		require.NoError(t, err)
		resp, _ := listResponse(bytes.NewReader(list), len(list))
		require.NoError(t, rw.ModifyResponse(resp))
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), "%d bytes instead of %d", len(got), len(want))
	}
}

// A later piece of a list begins where it begins. What is read after it may have text before the playlist.
func TestNothingOfAPieceOutlivesIt(t *testing.T) {
	text := channels(1<<20, "\n")
	for range 3 {
		resp, _ := listResponse(bytes.NewReader(text), len(text))
		require.NoError(t, (&rewrite.Rewriter{MaxSize: 64 << 20}).ModifyResponse(resp))
		_, err := io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Len(t, allRefs(t, "\ufeff#EXTM3U\n#EXTINF:4,\na.ts\n", base), 1)
	}
}

func TestLongListsEndAsTheyShould(t *testing.T) {
	list := channels(2<<20, "\n")
	broken := errors.New("reset")
	const variable = "#EXT-X-DEFINE:NAME=\"h\",VALUE=\"https://other.example\"\n#EXTINF:-1,x\n"
	for name, c := range map[string]struct {
		body    io.Reader
		length  int
		max     int64
		fails   error // ModifyResponse
		breaks  error // the body
		withLen bool  // it is held as a whole
	}{
		"breaks":                      {io.MultiReader(bytes.NewReader(list), failing{broken}), -1, 64 << 20, nil, broken, false},
		"breaks at once":              {io.MultiReader(bytes.NewReader(list[:1000]), failing{broken}), -1, 64 << 20, broken, nil, false},
		"too long, as it says":        {bytes.NewReader(list), 65 << 20, 64 << 20, rewrite.ErrTooLarge, nil, false},
		"too long":                    {io.MultiReader(bytes.NewReader(list), bytes.NewReader(bytes.Repeat(list, 5))), -1, 9 << 20, nil, rewrite.ErrTooLarge, false},
		"without a larger MaxSize":    {bytes.NewReader(bytes.Repeat(list, 5)), -1, 0, rewrite.ErrTooLarge, nil, false},
		"an entry without an end":     {io.MultiReader(bytes.NewReader(list), bytes.NewReader(bytes.Repeat([]byte{'a'}, 2<<20))), -1, 64 << 20, nil, rewrite.ErrTooLarge, false},
		"an entry with much before":   {io.MultiReader(bytes.NewReader(list), strings.NewReader(strings.Repeat("\n#", 1<<20))), -1, 64 << 20, nil, rewrite.ErrTooLarge, false},
		"a variable":                  {io.MultiReader(strings.NewReader("#EXTM3U\n"+variable), bytes.NewReader(list)), -1, 64 << 20, nil, nil, true},
		"a variable further down":     {io.MultiReader(bytes.NewReader(list), strings.NewReader(variable+"{$h}/x\n")), -1, 64 << 20, nil, rewrite.ErrUndefined, false},
		"byte by byte":                {io.MultiReader(bytes.NewReader(list), iotest.OneByteReader(strings.NewReader(strings.Repeat("\n#", 1<<18)))), -1, 64 << 20, nil, nil, false},
		"a short one":                 {bytes.NewReader(list[:1000]), -1, 64 << 20, nil, nil, true},
		"a playlist of HLS":           {bytes.NewReader(append([]byte("#EXTM3U\n#EXT-X-TARGETDURATION:4\n"), list...)), -1, 64 << 20, nil, nil, true},
		"lines that end with CR only": {bytes.NewReader(channels(2<<20, "\r")), -1, 64 << 20, nil, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			resp, closed := listResponse(c.body, c.length)
			rw := &rewrite.Rewriter{MaxSize: c.max, Hints: true}
			err := rw.ModifyResponse(resp)
			require.ErrorIs(t, err, c.fails)
			if c.fails != nil {
				require.True(t, *closed)
				return
			}
			require.Equal(t, c.withLen, resp.ContentLength >= 0)
			_, err = io.Copy(io.Discard, resp.Body)
			require.ErrorIs(t, err, c.breaks)
			if c.breaks != nil {
				_, again := resp.Body.Read(make([]byte, 10))
				require.ErrorIs(t, again, c.breaks, "it stays broken")
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A list that breaks off must not look like a whole one.
func TestAHandlerBreaksALongListOff(t *testing.T) {
	list := append(channels(2<<20, "\n"), bytes.Repeat([]byte{'a'}, 2<<20)...)
	why := make(chan error, 1)
	rw := &rewrite.Rewriter{MaxSize: 64 << 20, OnFailure: func(_ *http.Request, err error) { why <- err }}
	s := httptest.NewServer(rw.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(list) })))
	defer s.Close()
	resp, err := http.Get(s.URL + "/all.m3u")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode)
	_, err = io.Copy(io.Discard, resp.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.ErrorIs(t, <-why, rewrite.ErrTooLarge)
}
