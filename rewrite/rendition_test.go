package rewrite_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

const tracks = `#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",LANGUAGE="en",NAME="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="6",URI="en.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",LANGUAGE="fr",NAME="fr",DEFAULT=NO,AUTOSELECT=NO,URI="fr.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",LANGUAGE="de",NAME="de",AUTOSELECT=YES,CHANNELS="2",URI="de.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",LANGUAGE="en",NAME="en",DEFAULT=YES,AUTOSELECT=YES,URI="s-en.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",LANGUAGE="de",NAME="de",URI="s-de.m3u8"
#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="c",NAME="cc",INSTREAM-ID="CC1"
#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="avc1.4d401f,mp4a.40.2,wvtt",AUDIO="a",SUBTITLES="s",CLOSED-CAPTIONS="c"
v.m3u8
#EXT-X-STREAM-INF:SUBTITLES="s",BANDWIDTH=2,AUDIO="a",CODECS="stpp.ttml.im1t,avc1.4d401f"
w.m3u8
`

func TestRenditionRemovesLines(t *testing.T) {
	line := func(text, part string) string {
		for l := range strings.SplitAfterSeq(text, "\n") {
			if strings.Contains(l, part) {
				return l
			}
		}
		t.Fatal(part)
		return ""
	}
	without := func(text string, parts ...string) string {
		for _, p := range parts {
			text = strings.Replace(text, line(text, p), "", 1)
		}
		return text
	}
	replaced := func(text string, pairs ...string) string {
		for i := 0; i < len(pairs); i += 2 {
			require.Contains(t, text, pairs[i])
		}
		return strings.NewReplacer(pairs...).Replace(text)
	}
	noCaptions := replaced(without(tracks, "TYPE=SUBTITLES", "TYPE=SUBTITLES", "TYPE=CLOSED"),
		`,wvtt"`, `"`, `"stpp.ttml.im1t,avc1`, `"avc1`, `,SUBTITLES="s",CLOSED-CAPTIONS="c"`, "", `:SUBTITLES="s",`, ":")
	for name, c := range map[string]struct {
		keep func(*m3u8.Alternative) bool
		want string
	}{
		"all":         {func(*m3u8.Alternative) bool { return true }, tracks},
		"one of many": {func(a *m3u8.Alternative) bool { return a.Name != "fr" }, without(tracks, `NAME="fr"`)},
		"the default goes, and subtitles have none": {func(a *m3u8.Alternative) bool { return a.Language != "en" },
			replaced(without(tracks, "URI=\"en.m", "URI=\"s-en.m"), `AUTOSELECT=YES,CHANNELS="2",URI="de.m3u8"`, `AUTOSELECT=YES,CHANNELS="2",URI="de.m3u8",DEFAULT=YES`)},
		"the next has to be selectable": {func(a *m3u8.Alternative) bool { return a.Type != "AUDIO" || a.Language == "fr" },
			replaced(without(tracks, "URI=\"en.m", "URI=\"de.m"), `DEFAULT=NO,AUTOSELECT=NO,URI="fr`, `DEFAULT=YES,AUTOSELECT=YES,URI="fr`)},
		"no sound at all": {func(a *m3u8.Alternative) bool { return a.Type != "AUDIO" }, without(tracks, "URI=\"fr.m", "URI=\"de.m")},
		"no captions":     {func(a *m3u8.Alternative) bool { return a.Type == "AUDIO" }, noCaptions},
		"by channels":     {func(a *m3u8.Alternative) bool { return a.Channels == nil || a.Channels.Amount <= 2 }, replaced(without(tracks, "URI=\"en.m"), `URI="de.m3u8"`, `URI="de.m3u8",DEFAULT=YES`)},
	} {
		t.Run(name, func(t *testing.T) {
			out := rewritten(t, &rewrite.Rewriter{Map: identity{}, Rendition: c.keep}, tracks, "")
			require.Equal(t, c.want, out)
			requireGroups(t, out)
		})
	}
	seen := 0
	rewritten(t, &rewrite.Rewriter{Rendition: func(a *m3u8.Alternative) bool { return a.Name == "de" }, Variant: func(v *m3u8.Variant) bool {
		seen += len(v.Alternatives)
		return true
	}}, tracks, base)
	require.Equal(t, 4, seen, "variants see what is left")
}

// requireGroups checks that what variants name is there, and that each group has one default at the most.
func requireGroups(t *testing.T, text string) {
	p, _, err := m3u8.DecodeFrom(strings.NewReader(text), false)
	require.NoError(t, err)
	defaults := map[string]int{}
	members := map[string]int{}
	for _, a := range p.(*m3u8.MasterPlaylist).GetAllAlternatives() {
		members[a.Type+a.GroupId]++
		if a.Default {
			defaults[a.Type+a.GroupId]++
			require.True(t, a.Autoselect)
		}
	}
	for _, v := range p.(*m3u8.MasterPlaylist).Variants {
		require.NotZero(t, members["AUDIO"+v.Audio])
		require.True(t, v.Subtitles == "" || members["SUBTITLES"+v.Subtitles] > 0)
		require.True(t, v.Captions == "" || members["CLOSED-CAPTIONS"+v.Captions] > 0)
	}
	for g, n := range defaults {
		require.LessOrEqual(t, n, 1, g)
	}
}

func FuzzRendition(f *testing.F) {
	f.Add(tracks, uint8(3))
	f.Add(ladder, uint8(7))
	f.Fuzz(func(t *testing.T, text string, mask uint8) {
		n := 0
		rw := &rewrite.Rewriter{Map: identity{}, Rendition: func(*m3u8.Alternative) bool { n++; return mask>>(n%8)&1 == 0 }}
		out, err := rw.Append(t.Context(), nil, []byte(text), "")
		require.NoError(t, err)
		if mask == 0 {
			require.Equal(t, text, string(out))
		}
	})
}

// The query chooses the renditions. A signed link covers its query, so the choice is that of the maker of the link.
func ExampleRewriter_rendition() {
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
		fmt.Fprint(w, `#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",LANGUAGE="en",NAME="English",DEFAULT=YES,AUTOSELECT=YES,URI="en.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",LANGUAGE="de",NAME="Deutsch",URI="de.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=5000000,RESOLUTION=1920x1080,AUDIO="a"
1080.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=2000000,RESOLUTION=1280x720,AUDIO="a"
720.m3u8
`)
	})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chosen(r.URL.Query()).Handler(next).ServeHTTP(w, r)
	})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/film/main.m3u8?max-height=720&lang=de", nil))
	fmt.Print(w.Body)
	// Output:
	// #EXTM3U
	// #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",LANGUAGE="de",NAME="Deutsch",URI="/film/de.m3u8",DEFAULT=YES
	// #EXT-X-STREAM-INF:BANDWIDTH=2000000,RESOLUTION=1280x720,AUDIO="a"
	// /film/720.m3u8
}

// chosen makes a Rewriter by a query.
func chosen(q url.Values) *rewrite.Rewriter {
	rw := &rewrite.Rewriter{}
	if most, err := strconv.Atoi(q.Get("max-height")); err == nil {
		rw.Variant = func(v *m3u8.Variant) bool {
			_, height, _ := strings.Cut(v.Resolution, "x")
			h, _ := strconv.Atoi(height)
			return h <= most
		}
	}
	if languages := q["lang"]; len(languages) > 0 {
		rw.Rendition = func(a *m3u8.Alternative) bool { return slices.Contains(languages, a.Language) }
	}
	return rw
}

// A line that goes takes its changes along, also if nothing follows it.
func TestWhatGoesIsNotChanged(t *testing.T) {
	const kept = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=2\nhi.m3u8\n"
	text := kept + "#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nlo.m3u8\n" +
		"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"en\",DEFAULT=YES,URI=\"en.m3u8\"\n" +
		"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"de\",URI=\"de.m3u8\""
	for _, end := range []string{"\n", ""} {
		require.Equal(t, kept, rewritten(t, &rewrite.Rewriter{
			Map:       identity{},
			Rendition: func(a *m3u8.Alternative) bool { return a.Name == "de" },
			Variant:   func(v *m3u8.Variant) bool { return v.Bandwidth == 2 },
		}, text+end, ""), "%q", end)
	}
}

func TestAttributesThatGoJoinNothing(t *testing.T) {
	rw := &rewrite.Rewriter{Rendition: func(*m3u8.Alternative) bool { return false }}
	out := rewritten(t, rw, "#EXTM3U\n#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"n\",URI=\"s.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=1,SUBTITLES=\"s\",junk\nv.m3u8\n", "")
	require.Contains(t, out, "BANDWIDTH=1,junk\n")
}
