package rewrite_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

const thumbnails = "WEBVTT - thumbs.jpg\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n\nSTYLE\n::cue { background: url(a.jpg) }\n\nNOTE\na.jpg\n\n" +
	"1.jpg\n00:00.000 --> 00:05.000\nthumbs.jpg#xywh=0,0,160,90\n\n00:05.000 --> 00:10.000 align:start\r\n/img/2.webp?x=1\r\n\r\n00:10.000 --> 00:15.000\nhttps://other.example/3.png\na text\n"

func TestThumbnailTracks(t *testing.T) {
	want := strings.NewReplacer("\nthumbs.jpg#", "\n/p/ch1/thumbs.jpg?t=1#", "/img/2.webp?x=1", "https://cdn.example/img/2.webp?x=1").Replace(thumbnails)
	for name, c := range map[string]struct{ path, label, body, want string }{
		"by its first cue":  {"x.vtt", "text/vtt", thumbnails, want},
		"without a label":   {"x", "", thumbnails, want},
		"byte order mark":   {"x.vtt", "", "\ufeff" + thumbnails, "\ufeff" + want},
		"a blank in a name": {"x.vtt", "text/vtt", "WEBVTT\n\n00:00.000 --> 00:05.000\nmy film 1.jpg#xywh=0,0,160,90\n", "WEBVTT\n\n00:00.000 --> 00:05.000\n/p/ch1/my%20film%201.jpg?t=1#xywh=0,0,160,90\n"},
		"captions":          {"x.vtt", "text/vtt", "WEBVTT\n\n00:00.000 --> 00:05.000\nLook at a.jpg\na.jpg\n", ""},
		"captions, later":   {"x.vtt", "text/vtt", "WEBVTT\n\n00:00.000 --> 00:05.000\nHello\n\n00:05.000 --> 00:10.000\na.jpg\n", ""},
		"an empty segment":  {"x.vtt", "text/vtt", "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n\n", ""},
		"no cue":            {"x.vtt", "text/vtt", "WEBVTT a.jpg", ""},
		"nearly":            {"x.vtt", "text/vtt", "WEBVT", ""},
	} {
		t.Run(name, func(t *testing.T) {
			rw := prefixed(t)
			rw.Sign = rewrite.SignFunc(tokens)
			resp := response("https://cdn.example/live/ch1/"+c.path, c.label, c.body)
			require.NoError(t, rw.ModifyResponse(resp))
			got, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			if c.want == "" {
				require.Equal(t, c.body, string(got))
				require.EqualValues(t, -1, resp.ContentLength)
				return
			}
			require.Equal(t, c.want, string(got))
			require.Equal(t, c.label, resp.Header.Get("Content-Type"))
			require.EqualValues(t, len(got), resp.ContentLength)
		})
	}
	rw := prefixed(t)
	rw.Unmapped = rewrite.DropUnmapped
	resp := response("https://cdn.example/live/ch1/x.vtt", "text/vtt", thumbnails)
	require.NoError(t, rw.ModifyResponse(resp))
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NotContains(t, string(got), "other.example")
}

// Captions are read no further than their first cue.
func TestCaptionsStream(t *testing.T) {
	const text = "WEBVTT\n\n00:00.000 --> 00:05.000\nHello\n"
	resp := response("https://cdn.example/live/x.vtt", "text/vtt", "")
	resp.Body = &slow{text: text + "more", allow: len(text), err: errRead}
	require.NoError(t, prefixed(t).ModifyResponse(resp))
	got, err := io.ReadAll(resp.Body)
	require.ErrorIs(t, err, errRead)
	require.Equal(t, text, string(got))
}

// Thumbnails of a film go where its segments go.
func ExampleRewriter_thumbnails() {
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/vtt")
		fmt.Fprint(w, "WEBVTT\n\n00:00.000 --> 00:05.000\nsprite.jpg#xywh=0,0,160,90\n")
	})
	w := httptest.NewRecorder()
	(&rewrite.Rewriter{Sign: rewrite.SignFunc(tokens)}).Handler(next).ServeHTTP(w, httptest.NewRequest("GET", "/film/thumbs.vtt", nil))
	fmt.Print(w.Body)
	// Output:
	// WEBVTT
	//
	// 00:00.000 --> 00:05.000
	// /film/sprite.jpg?t=1#xywh=0,0,160,90
}

func FuzzThumbnails(f *testing.F) {
	f.Add(thumbnails)
	f.Add(strings.ReplaceAll(thumbnails, "\n", "\r"))
	f.Add(strings.ReplaceAll(thumbnails, "\n", "\r\n"))
	f.Add("WEBVTT\n\n-->\n//.png")
	f.Fuzz(func(t *testing.T, text string) {
		resp := response("https://cdn.example/live/ch1/x.vtt", "text/vtt", text)
		require.NoError(t, (&rewrite.Rewriter{Map: identity{}}).ModifyResponse(resp))
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		if !strings.Contains(string(got), "://") { // no line has become a URL
			require.Equal(t, text, string(got))
		}
		slow := response("https://cdn.example/live/ch1/x.vtt", "text/vtt", "")
		slow.Body = io.NopCloser(iotest.OneByteReader(strings.NewReader(text)))
		require.NoError(t, (&rewrite.Rewriter{Map: identity{}}).ModifyResponse(slow))
		same, err := io.ReadAll(slow.Body)
		require.NoError(t, err)
		require.Equal(t, string(got), string(same))
	})
}
