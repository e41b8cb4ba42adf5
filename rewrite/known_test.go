package rewrite_test

import (
	"context"
	"io"
	"strconv"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// What other rewriters got wrong, each once seen in a public program, which rewrote by replacing text, by file
// extensions, or by parsing and writing anew.
func TestWhatOtherRewritersGetWrong(t *testing.T) {
	for name, c := range map[string]struct{ in, out string }{
		"a name within another":      {"1.ts\n11.ts\n1.ts\n111.ts", "/p/ch1/1.ts?t\n/p/ch1/11.ts?t\n/p/ch1/1.ts?t\n/p/ch1/111.ts?t"},
		"an extension within a name": {"k.tsk\nmovie.ts/seg.m4s\n//cdn.tsinghua.example/a.ts", "/p/ch1/k.tsk?t\n/p/ch1/movie.ts/seg.m4s?t\nhttps://cdn.tsinghua.example/a.ts"},
		"an extension in a comment":  {"#a.ts\n#EXTINF:6,intro.ts\na.ts?x", "#a.ts\n#EXTINF:6,intro.ts\n/p/ch1/a.ts?x&t"},
		"with and without a query":   {"a.ts?old=1\na.ts\na.ts?", "/p/ch1/a.ts?old=1&t\n/p/ch1/a.ts?t\n/p/ch1/a.ts?&t"},
		"lines that end in CR LF":    {"#EXTINF:6,\r\na.ts\r\nb.ts\r\n", "#EXTINF:6,\r\n/p/ch1/a.ts?t\r\n/p/ch1/b.ts?t\r\n"},
		"no final line end":          {"a.ts\n#EXT-X-ENDLIST", "/p/ch1/a.ts?t\n#EXT-X-ENDLIST"},
		"no extension":               {"a\nb.m4s\nc.vtt\n#EXT-X-MAP:URI=\"d\"", "/p/ch1/a?t\n/p/ch1/b.m4s?t\n/p/ch1/c.vtt?t\n#EXT-X-MAP:URI=\"/p/ch1/d?t\""},
		"from the root and above":    {"/live/a.ts\n../a.ts\n../../../live/b.ts", "/p/a.ts?t\n/p/a.ts?t\n/p/b.ts?t"},
		"another port":               {"https://cdn.example:8443/live/a.ts", "https://cdn.example:8443/live/a.ts"},
		"quotes behind the URI":      {`#EXT-X-MEDIA:URI="a.m3u8",NAME="b",LANGUAGE="en"`, `#EXT-X-MEDIA:URI="/p/ch1/a.m3u8?t",NAME="b",LANGUAGE="en"`},
		"escapes in a signed URL":    {"a%2Fb.ts?s=%2B%252F~+=&e=1", "/p/ch1/a%2Fb.ts?s=%2B%2525252F~+=&e=1&t"},
		"what a typed view loses":    {"#EXTINF:4.00000,é\na.ts\n#EXT-X-PART:DURATION=0.50000,URI=\"p\"\n#X-OWN:4.0", "#EXTINF:4.00000,é\n/p/ch1/a.ts?t\n#EXT-X-PART:DURATION=0.50000,URI=\"/p/ch1/p?t\"\n#X-OWN:4.0"},
		"no key, a blank line":       {"#EXT-X-KEY:METHOD=NONE\n\n \na.ts\n#EXT-X-KEY:METHOD=NONE,URI=\"\"", "#EXT-X-KEY:METHOD=NONE\n\n \n/p/ch1/a.ts?t\n#EXT-X-KEY:METHOD=NONE,URI=\"\""},
		"one bad line":               {"a.ts\nhttp://[::1/%zz\nhttp://h:x/\n%\nb.ts", "/p/ch1/a.ts?t\nhttp://[::1/%zz\nhttp://h:x/\n/p/ch1/%252525?t\n/p/ch1/b.ts?t"},
		"a colon and a space":        {"x_2017-12-28T15:49:14 a.ts\n2017-12-28T15:49:14.ts", "/p/ch1/x_2017-12-28T15:49:14%20a.ts?t\n/p/ch1/2017-12-28T15:49:14.ts?t"},
		"headers for one player":     {"a.ts|User-Agent=X/1&Referer=http://h/", "/p/ch1/a.ts%7CUser-Agent=X/1&Referer=http:/%252Fh/?t"},
	} {
		t.Run(name, func(t *testing.T) {
			rw := prefixed(t)
			rw.Sign = rewrite.SignFunc(func(_ context.Context, public []byte) ([]byte, error) {
				for _, c := range public {
					if c == '?' {
						return append(public, "&t"...), nil
					}
				}
				return append(public, "?t"...), nil
			})
			require.Equal(t, c.out, rewritten(t, rw, c.in, base))
			rw.Map = hidden{rw.Map}
			require.Equal(t, c.out, rewritten(t, rw, c.in, base))
		})
	}
}

// A playlist is known by what it is, whatever stands behind its extension, and its length is one of bytes.
func TestPlaylistsOfAnyNameAndAlphabet(t *testing.T) {
	for _, name := range []string{"x.m3u8?token=1", "x.M3U8", "x", "x.php?f=.ts"} {
		resp := response("https://cdn.example/live/ch1/"+name, "text/plain", small+"#EXTINF:4,élan\nü.ts\n")
		require.NoError(t, prefixed(t).ModifyResponse(resp))
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, smallMapped+"#EXTINF:4,élan\n/p/ch1/%C3%BC.ts\n", string(body))
		require.Equal(t, strconv.Itoa(len(body)), resp.Header.Get("Content-Length"))
	}
}

// A list that counts renditions by where they stand loses those in between.
func TestNothingBetweenVariantsIsLost(t *testing.T) {
	const list = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9,RESOLUTION=1920x1080,AUDIO=\"a\"\nhi\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"n\",URI=\"au\"\n" +
		"#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nsound\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=2,URI=\"i\"\n#EXT-X-STREAM-INF:BANDWIDTH=3,RESOLUTION=640x360,AUDIO=\"a\"\nlo\n"
	rw := &rewrite.Rewriter{Map: identity{}, Variant: most(720)}
	require.Equal(t, list[:8]+list[8+len("#EXT-X-STREAM-INF:BANDWIDTH=9,RESOLUTION=1920x1080,AUDIO=\"a\"\nhi\n"):], rewritten(t, rw, list, ""))
}
