package rewrite_test

import (
	"math"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// every has each attribute of variants and renditions, with values that are right and values that are not.
const every = `#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="en",LANGUAGE="en",ASSOC-LANGUAGE="de",STABLE-RENDITION-ID="r",DEFAULT=YES,AUTOSELECT=yes,FORCED=NO,BIT-DEPTH=24,SAMPLE-RATE=48000,CHARACTERISTICS="x",CHANNELS="6/JOC/IMMERSIVE",URI="a.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME=" b ",CHANNELS="2/-/x/y",SAMPLE-RATE=99999999999,BIT-DEPTH=256
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="many",CHANNELS="2//x"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="none",BIT-DEPTH=x
#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID="v",NAME="v",CHANNELS="2/"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="s"
#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="c",NAME="c",INSTREAM-ID="CC1"
#EXT-X-STREAM-INF:BANDWIDTH=1,AVERAGE-BANDWIDTH=2,SCORE=1.5,CODECS="avc1,mp4a",SUPPLEMENTAL-CODECS="dvh1/db4h",RESOLUTION=1x2,FRAME-RATE=29.97,HDCP-LEVEL=NONE,ALLOWED-CPC="k:a/b",VIDEO-RANGE=PQ,REQ-VIDEO-LAYOUT="CH-STEREO",STABLE-VARIANT-ID="i",AUDIO="a",VIDEO="v",SUBTITLES="s",CLOSED-CAPTIONS="c",PATHWAY-ID="p",NAME="n",PROGRAM-ID=7,X-OTHER="="
v.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=99999999999999999999,AVERAGE-BANDWIDTH=-1,SCORE=1e999,FRAME-RATE=x,CLOSED-CAPTIONS=NONE,PROGRAM-ID=x,URI="w"
w.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=5,AUDIO="a",URI="i.m3u8"
`

// plainList is an attribute list by the grammar of section 4.2 of the HLS draft.
var plainList = regexp.MustCompile(`^#EXT-X-(?:MEDIA|STREAM-INF|I-FRAME-STREAM-INF):[A-Z0-9-]+=(?:"[^"{]*"|[^" ,{=\t]+)(?:,[A-Z0-9-]+=(?:"[^"{]*"|[^" ,{=\t]+))*$`)

// quotedAs tells whether the quotes of a value that is looked at are where they should be: hls-m3u8 keeps those that should
// not.
var (
	unquoted = regexp.MustCompile(`[:,](?:BANDWIDTH|AVERAGE-BANDWIDTH|SCORE|RESOLUTION|FRAME-RATE|HDCP-LEVEL|VIDEO-RANGE|PROGRAM-ID)="`)
	name     = regexp.MustCompile(`[:,]([A-Z0-9-]+)=(?:"[^"]*"|[^,]*)`)
)

func isPlain(line string) bool {
	if !plainList.MatchString(line) || unquoted.MatchString(line) {
		return false
	}
	seen := map[string]bool{}
	for _, m := range name.FindAllStringSubmatch(line, -1) {
		if seen[m[1]] {
			return false
		}
		seen[m[1]] = true
	}
	return true
}

// views are what the hooks see of the variants of a playlist, and of the renditions, with URIs as they are written.
func views(t *testing.T, text string) (variants []*m3u8.Variant, renditions []*m3u8.Alternative) {
	rw := &rewrite.Rewriter{
		Rendition: func(a *m3u8.Alternative) bool { renditions = append(renditions, a); return true },
		Variant:   func(v *m3u8.Variant) bool { variants = append(variants, v); return true },
	}
	require.Equal(t, text, rewritten(t, rw, text, ""))
	return variants, renditions
}

// requireLibraryView checks that the hooks see what hls-m3u8 makes of the whole playlist.
func requireLibraryView(t *testing.T, text string) {
	p, _, err := m3u8.DecodeFrom(strings.NewReader(text), false)
	require.NoError(t, err)
	master := p.(*m3u8.MasterPlaylist)
	variants, renditions := views(t, text)
	wanted := map[*m3u8.Alternative]bool{}
	var plain, iframes []*m3u8.Variant
	for _, v := range master.Variants {
		for _, a := range v.Alternatives {
			wanted[a] = true
		}
		if v.Iframe {
			iframes = append(iframes, v)
			continue
		}
		plain = append(plain, v)
	}
	want := append(plain, iframes...)
	require.Len(t, variants, len(want))
	for i := range want {
		requireSame(t, want[i], variants[i])
	}
	for a := range wanted {
		require.Contains(t, renditions, a)
	}
}

// requireSame compares two variants whose renditions may be in another order.
func requireSame(t *testing.T, want, got *m3u8.Variant) {
	require.ElementsMatch(t, want.Alternatives, got.Alternatives)
	a, b := *want, *got
	a.Alternatives, b.Alternatives = nil, nil
	for _, v := range []*m3u8.Variant{&a, &b} {
		if math.IsNaN(v.Score) {
			v.Score = -1
		}
		if math.IsNaN(v.FrameRate) {
			v.FrameRate = -1
		}
	}
	require.Equal(t, a, b)
}

func TestHooksSeeWhatTheLibraryReads(t *testing.T) {
	requireLibraryView(t, every)
	requireLibraryView(t, tracks)
	requireLibraryView(t, ladder)
}

// FuzzTypedView holds the hooks' view of a variant and a rendition against that of hls-m3u8, for lists by the grammar.
func FuzzTypedView(f *testing.F) {
	for line := range strings.Lines(every) {
		if _, list, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			f.Add(list, list)
		}
	}
	f.Add(`TYPE=AUDIO,GROUP-ID="a",CHANNELS="1/2/3"`, `AUDIO="a",SCORE=0x1p-2`)
	f.Fuzz(func(t *testing.T, rendition, variant string) {
		if strings.ContainsAny(rendition+variant, "\r\n\x00") {
			return
		}
		media, inf, iframe := "#EXT-X-MEDIA:"+rendition, "#EXT-X-STREAM-INF:"+variant, "#EXT-X-I-FRAME-STREAM-INF:"+variant
		if !isPlain(media) || !isPlain(inf) {
			return
		}
		requireLibraryView(t, "#EXTM3U\n"+media+"\n"+inf+"\nx.m3u8\n"+iframe+"\n")
	})
}

// A value that a client chose may have any byte. None of them says more than this value.
func TestValuesOfVariablesStayValues(t *testing.T) {
	const text = "#EXTM3U\n#EXT-X-DEFINE:QUERYPARAM=\"q\"\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",LANGUAGE=\"{$q}\",NAME=\"n\"\n" +
		"#EXT-X-STREAM-INF:BANDWIDTH=5,AUDIO=\"a\",NAME=\"{$q}\"\nv.m3u8\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=2,NAME=\"{$q}\",URI=\"i\"\n"
	const value, escaped = "x\",BANDWIDTH=1,NAME=\"y\n#EXT-X-STREAM-INF:BANDWIDTH=2", "x%22,BANDWIDTH=1,NAME=%22y%0A%23EXT-X-STREAM-INF:BANDWIDTH=2"
	var variants []*m3u8.Variant
	var languages []string
	rw := &rewrite.Rewriter{
		Variant:   func(v *m3u8.Variant) bool { variants = append(variants, v); return true },
		Rendition: func(a *m3u8.Alternative) bool { languages = append(languages, a.Language); return true },
	}
	rewritten(t, rw, text, "https://h/x.m3u8?q="+escaped)
	require.Equal(t, []string{value}, languages)
	require.Len(t, variants, 2)
	require.Equal(t, []any{uint32(5), value}, []any{variants[0].Bandwidth, variants[0].Name})
	require.Equal(t, []any{uint32(2), value}, []any{variants[1].Bandwidth, variants[1].Name})
	require.Len(t, variants[0].Alternatives, 1)
}

// Nor do they when a list is written anew without its subtitles.
func TestValuesOfVariablesStayValuesWhereCodecsGo(t *testing.T) {
	const text = "#EXTM3U\n#EXT-X-DEFINE:QUERYPARAM=\"q\"\n#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"n\",URI=\"s.m3u8\"\n" +
		"#EXT-X-STREAM-INF:BANDWIDTH=5,SUBTITLES=\"s\",CODECS=\"wvtt,{$q}\"\nv.m3u8\n"
	rw := &rewrite.Rewriter{
		Map:       rewrite.Query("/q", "u"),
		Sign:      rewrite.SignFunc(appends("&token=T")),
		Rendition: func(*m3u8.Alternative) bool { return false },
	}
	out := rewritten(t, rw, text, "https://h/live/x.m3u8?q="+url.QueryEscape("a\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttps://h/secret/x.m3u8\n#"))
	require.NotContains(t, out, "u=https%3A%2F%2Fh%2Fsecret")
	require.Contains(t, out, "CODECS=\"{$q}\"")
}

// The hook cannot be kept from a rendition by its place, or by what stands beside it.
func TestRenditionsThatNobodyIsAskedAboutGo(t *testing.T) {
	const good, end = "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"g\",NAME=\"a\",URI=\"a\"\n", "#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"g\"\nv\n"
	for name, text := range map[string]string{
		"the 1,025th":        "#EXTM3U\n" + strings.Repeat(good, 1024) + "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"g\",NAME=\"bad\",URI=\"z\"\n" + end,
		"one with long list": "#EXTM3U\n" + good + "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"g\",NAME=\"bad\",URI=\"z\",X-A=\"" + strings.Repeat("x", 64<<10) + "\"\n" + end,
	} {
		rw := &rewrite.Rewriter{Rendition: func(a *m3u8.Alternative) bool { return a.Name != "bad" }}
		out := rewritten(t, rw, text, "")
		require.False(t, strings.Contains(out, "bad"), name)
		require.Contains(t, out, good, name)
	}
}
