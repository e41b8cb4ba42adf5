package rewrite_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// kindsSeen notes what a Rewriter tells it.
type kindsSeen struct{ seen *[]string }

func (kindsSeen) AppendPublic(dst, upstream []byte) ([]byte, error) {
	return append(dst, upstream...), nil
}

func (kindsSeen) Upstream(u *url.URL) (string, error) { return u.String(), nil }

func (m kindsSeen) AppendPublicOf(dst, upstream []byte, kind, ext string) ([]byte, error) {
	*m.seen = append(*m.seen, kind+" "+ext+" "+string(upstream))
	return append(dst, upstream...), nil
}

func TestAMapperIsToldTheKind(t *testing.T) {
	const h = "https://h/"
	for name, c := range map[string]struct {
		playlist string
		want     []string
	}{
		"multivariant": {
			"#EXT-X-MEDIA:URI=\"a\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv\n#EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"k\"\n#EXT-X-SESSION-DATA:URI=\"d\"\n#EXT-X-CONTENT-STEERING:SERVER-URI=\"s\"\n",
			[]string{"Playlist m3u8 a", "Playlist m3u8 v", "Key key k", "Data  d", "JSON  s"},
		},
		"MPEG-TS": {
			"#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXTINF:4,\n1\n#EXT-X-PART:URI=\"2.0\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"2.1\"\n#EXT-X-RENDITION-REPORT:URI=\"r\"\n#EXT-X-PREFETCH:3\n",
			[]string{"Key key k", "Segment ts 1", "Part ts 2.0", "Part ts 2.1", "Playlist m3u8 r", "Segment ts 3"},
		},
		"MP4 begins in between": {
			"#EXTINF:4,\n1\n#EXT-X-MAP:URI=\"i\"\n#EXTINF:4,\n2\n#EXT-X-MAP:URI=\"i.ts?x\"\n#EXTINF:4,\n3\n#EXT-X-MAP:URI=\"data:,x\"\n#EXTINF:4,\n4\n",
			[]string{"Segment ts 1", "Init mp4 i", "Segment m4s 2", "Init mp4 i.ts?x", "Segment ts 3", "Segment m4s 4"},
		},
		"delta update":             {"#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n#EXTINF:4,\n1\n", []string{"Segment m4s 1"}},
		"pictures":                 {"#EXT-X-IMAGES-ONLY\n#EXTINF:4,\n1.jpg\n#EXT-X-MAP:URI=\"i\"\n#EXTINF:4,\n2.jpg\n", []string{"Segment  1.jpg", "Init mp4 i", "Segment  2.jpg"}},
		"channels":                 {"#EXTINF:-1 tvg-id=\"x\",A\n1\n", []string{"Segment  1"}},
		"no durations":             {"1\n2\n", []string{"Segment ts 1", "Segment ts 2"}},
		"an interstitial film":     {interstitial("https://h/ad.mp4"), []string{"Playlist  ad.mp4"}},
		"an interstitial playlist": {interstitial("https://h/ad"), []string{"Playlist m3u8 ad"}},
		"a definition behind":      {"#EXT-X-MAP:URI=\"i\"\n#EXT-X-DEFINE:NAME=\"n\",VALUE=\"1\"\n#EXTINF:4,\n{$n}\n", []string{"Init mp4 i", "Segment m4s 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			var seen []string
			rewritten(t, &rewrite.Rewriter{Map: kindsSeen{&seen}}, c.playlist, h+"x")
			for i := range seen {
				seen[i] = strings.Replace(seen[i], h, "", 1)
			}
			require.Equal(t, c.want, seen)
		})
	}
}

func interstitial(uri string) string {
	return "#EXT-X-DATERANGE:ID=\"a\",CLASS=\"com.apple.hls.interstitial\",X-ASSET-URI=\"" + uri + "\"\n"
}

func TestQueryNamesWhatPlayersRefuse(t *testing.T) {
	const ts, mp4 = "#EXTINF:4,\n", "#EXT-X-MAP:URI=\"i.mp4\"\n#EXTINF:4,\n"
	for _, c := range []struct{ before, ref, name string }{
		{ts, "seg-1.jpg", "seg-1.jpg.ts"},
		{ts, "Frag-1-v1-a1", "Frag-1-v1-a1.ts"},
		{ts, "/play/1", "1.ts"},
		{ts, "a.css?t=1", "a.css.ts"},
		{ts, "a.html", "a.html.ts"},
		{ts, "x/", "index.ts"},
		{ts, "?seg=1.ts", "x.ts"},
		{ts, "a.ts;v=1.jpg", "a.tsv1.jpg.ts"},
		{ts, "a.ts", "a.ts"},
		{ts, "a.AAC?x", "a.AAC"},
		{ts, "a.vtt", "a.vtt"},
		{ts, "nested.m3u8", "nested.m3u8"},
		{ts, strings.Repeat("n", 70), strings.Repeat("n", 54) + ".ts"},
		{mp4, "seg-1.jpg", "seg-1.jpg.m4s"},
		{mp4, "1", "1.m4s"},
		{mp4, "a.ts", "a.ts"},
		{"#EXT-X-STREAM-INF:BANDWIDTH=1\n", "play.php?id=1", "play.php.m3u8"},
		{"#EXT-X-STREAM-INF:BANDWIDTH=1\n", "a.M3U8", "a.M3U8"},
		{"#EXTINF:-1,Channel\n", "/play/1", "1"},
		{"#EXTINF:-1,Channel\r", "/play/1", "1"},
		{"#EXTINF:-1,Channel\r\n", "/play/1", "1"},
		{"\t#EXTINF:-1,Channel\n", "/play/1", "1"},
		{"#EXT-X-IMAGES-ONLY\r#EXTINF:4,\r", "tile-1", "tile-1"},
		{"#EXT-X-SKIP:SKIPPED-SEGMENTS=3\r#EXTINF:4,\r", "1", "1.m4s"},
	} {
		m := rewrite.Query("/q", "u")
		for _, rw := range []*rewrite.Rewriter{{Map: m}, {Map: hidden{m}}} {
			lines := strings.FieldsFunc(rewritten(t, rw, c.before+c.ref+"\n", "https://h/d/x"), func(r rune) bool { return r == '\r' || r == '\n' })
			public := lines[len(lines)-1]
			path, _, _ := strings.Cut(public, "?")
			require.Equal(t, "/q/"+c.name, path, c.ref)
			at, err := url.Parse("https://h/d/x")
			require.NoError(t, err)
			want, err := at.Parse(c.ref)
			require.NoError(t, err)
			require.Equal(t, want.String(), upstreamOf(t, m, public))
		}
	}
}

// The same lines get other names behind other tags, and names that differ in their extension do not pass for one another.
func TestKnownLinesGetTheNameThatFits(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 12))
	m := rewrite.Query("/q", "u")
	exts := []string{"jpg", "m4s", "m5s", "mp4", "mpx", "ts", "tx", "123", "t12"}
	heads := []string{"", "", "#EXT-X-IMAGES-ONLY\n", "#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n", "#EXTINF:-1,\nx\n", "#EXTINF:1.0,\nx\n"}
	for range 400 {
		var b strings.Builder
		b.WriteString("#EXTM3U\n" + heads[rnd.IntN(len(heads))])
		for range 12 {
			switch rnd.IntN(8) {
			case 0:
				fmt.Fprintf(&b, "#EXT-X-MAP:URI=\"init-%d.%s\"\n", 100+rnd.IntN(900), exts[rnd.IntN(len(exts))])
			case 1:
				fmt.Fprintf(&b, "#EXT-X-KEY:METHOD=AES-128,URI=\"key-%d\"\n", 100+rnd.IntN(900))
			case 2:
				fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=1\nplay-%d\n", 100+rnd.IntN(900))
			case 3:
				fmt.Fprintf(&b, "#EXT-X-PART:URI=\"part-%d\"\n", 100+rnd.IntN(900))
			case 4:
				fmt.Fprintf(&b, "#EXTINF:1.0,\nseg-%d.%s\n", 100+rnd.IntN(900), exts[rnd.IntN(len(exts))])
			default:
				fmt.Fprintf(&b, "#EXTINF:1.0,\nseg-%d\n", 100+rnd.IntN(900))
			}
		}
		require.Equal(t, rewritten(t, &rewrite.Rewriter{Map: hidden{m}}, b.String(), base), rewritten(t, &rewrite.Rewriter{Map: m}, b.String(), base), b.String())
	}
}

func FuzzKindLaw(f *testing.F) {
	for _, rest := range []string{"/seg-1.jpg", "/Frag-1-v1-a1", "/play/1", "/a.css?t=1", "", "/..", "/a.ts", "/é.%zz", "/a;b.ts?c#d"} {
		f.Add(rest, "ts")
		f.Add(rest, "key")
	}
	m := rewrite.Query("/q", "u").(rewrite.KindMapper)
	f.Fuzz(func(t *testing.T, rest, ext string) {
		if strings.Trim(ext, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return
		}
		upstream := []byte("https://h.example" + rest)
		plain, err := m.AppendPublic(nil, upstream)
		if err != nil {
			return
		}
		public, err := m.AppendPublicOf(nil, upstream, "Segment", ext)
		require.NoError(t, err)
		require.Equal(t, upstreamOf(t, m, string(plain)), upstreamOf(t, m, string(public)))
		path, query, _ := strings.Cut(string(public), "?")
		plainPath, plainQuery, _ := strings.Cut(string(plain), "?")
		require.Equal(t, plainQuery, query)
		require.Contains(t, []string{plainPath, plainPath + "." + ext}, path)
	})
}
