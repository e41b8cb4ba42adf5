package rewrite_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// most keeps what is at most so high, and what has no height.
func most(height int) func(*m3u8.Variant) bool {
	return func(v *m3u8.Variant) bool {
		_, h, ok := strings.Cut(v.Resolution, "x")
		n, err := strconv.Atoi(h)
		return !ok || err != nil || n <= height
	}
}

const ladder = `#EXTM3U
# kept
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="hi",NAME="en",URI="hi.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="lo",NAME="en",URI="lo.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="unused",NAME="en",URI="unused.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="hi",NAME="en",URI="sub.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=3000000,RESOLUTION=1920x1080,AUDIO="hi",SUBTITLES="hi"

# between
1080.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=1000000,RESOLUTION=1280x720,AUDIO="lo",SUBTITLES="hi"
720.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=300000,RESOLUTION=1920x1080,URI="i1080.m3u8"
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=100000,RESOLUTION=1280x720,URI="i720.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=64000,AUDIO="lo"
audio.m3u8`

func TestVariantRemovesLines(t *testing.T) {
	gone := func(text string, parts ...string) string {
		for _, p := range parts {
			require.Contains(t, text, p+"\n")
			text = strings.Replace(text, p+"\n", "", 1)
		}
		return text
	}
	hi := []string{
		`#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="hi",NAME="en",URI="hi.m3u8"`,
		`#EXT-X-STREAM-INF:BANDWIDTH=3000000,RESOLUTION=1920x1080,AUDIO="hi",SUBTITLES="hi"`, "1080.m3u8",
		`#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=300000,RESOLUTION=1920x1080,URI="i1080.m3u8"`,
	}
	lo := []string{
		`#EXT-X-STREAM-INF:BANDWIDTH=1000000,RESOLUTION=1280x720,AUDIO="lo",SUBTITLES="hi"`, "720.m3u8",
		`#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=100000,RESOLUTION=1280x720,URI="i720.m3u8"`,
		`#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="hi",NAME="en",URI="sub.m3u8"`,
	}
	both := gone(gone(ladder, hi...), lo...)
	for name, c := range map[string]struct {
		keep func(*m3u8.Variant) bool
		want string
	}{
		"all":          {most(2000), ladder},
		"up to 720":    {most(720), gone(ladder, hi...)},
		"up to 480":    {most(480), both},
		"none":         {func(v *m3u8.Variant) bool { return false }, both},
		"by bandwidth": {func(v *m3u8.Variant) bool { return v.Iframe || v.Bandwidth < 2000000 }, gone(ladder, hi...)},
		"by URI":       {func(v *m3u8.Variant) bool { return v.URI != "https://cdn.example/live/ch1/1080.m3u8" }, gone(ladder, hi...)},
		"by rendition": {func(v *m3u8.Variant) bool {
			for _, a := range v.Alternatives {
				if a.Type == "AUDIO" && a.GroupId == "hi" && a.URI == "hi.m3u8" {
					return false
				}
			}
			return true
		}, gone(ladder, hi...)},
	} {
		t.Run(name, func(t *testing.T) {
			for _, eol := range []string{"\n", "\r\n", "\r"} {
				in, want := strings.ReplaceAll(ladder, "\n", eol), strings.ReplaceAll(c.want, "\n", eol)
				plain := &rewrite.Rewriter{Map: marked{}}
				filtered := &rewrite.Rewriter{Map: marked{}, Variant: c.keep}
				require.Equal(t, rewritten(t, plain, want, base), rewritten(t, filtered, in, base))
			}
		})
	}
}

func TestVariantKeepsWhatItCannotRead(t *testing.T) {
	never := func(v *m3u8.Variant) bool { return v.Bandwidth == 1 }
	for name, in := range map[string]string{
		"media playlist":   "#EXTM3U\n#EXTINF:1,\na.ts\n",
		"no URI":           "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n#EXT-X-STREAM-INF:BANDWIDTH=1\nb\n#EXT-X-STREAM-INF:BANDWIDTH=5",
		"no attributes":    "#EXTM3U\n#EXT-X-STREAM-INF\na\n#EXT-X-STREAM-INF:BANDWIDTH=1\nb\n",
		"only one":         "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9\nb\n",
		"malformed number": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=x,RESOLUTION=,FRAME-RATE=z\nb\n",
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, in, rewritten(t, &rewrite.Rewriter{Map: identity{}, Variant: never}, in, ""))
		})
	}
}

func TestVariantSeesVariablesSubstituted(t *testing.T) {
	const in = "#EXTM3U\n#EXT-X-DEFINE:NAME=\"c\",VALUE=\"hvc1\"\n#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"{$c}.1\",PATHWAY-ID=\"a\"\n{$c}.m3u8\n" +
		"#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"avc1.1\",PATHWAY-ID=\"b\"\nb.m3u8\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,PATHWAY-ID=\"a\",URI=\"{$c}\"\n"
	var seen []string
	rw := &rewrite.Rewriter{Map: identity{}, Variant: func(v *m3u8.Variant) bool {
		seen = append(seen, v.URI+" "+v.Codecs)
		return v.Codecs != "hvc1.1"
	}}
	out := rewritten(t, rw, in, "https://h/x")
	require.Equal(t, []string{"https://h/hvc1.m3u8 hvc1.1", "https://h/b.m3u8 avc1.1", "https://h/hvc1 "}, seen)
	require.Equal(t, 1, strings.Count(out, "STREAM-INF"))
}
