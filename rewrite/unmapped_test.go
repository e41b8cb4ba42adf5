package rewrite_test

import (
	"io"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// What a browser reads as a URL of a host is mapped as that.
func TestReferencesAsABrowserReadsThem(t *testing.T) {
	const at = "https://cdn.example/live/ch1/x.m3u8"
	for written, read := range map[string]string{
		"https://u:p@h/a.ts":       "https://h/a.ts",
		"https://u@p@h:81/a.ts":    "https://h:81/a.ts",
		"///h/a.ts":                "https://h/a.ts",
		"////h/a.ts":               "https://h/a.ts",
		"https:///h/a.ts":          "https://h/a.ts",
		"https:\\\\h/a.ts":         "https://h/a.ts",
		"https:/\\h\\b\\a.ts?x\\y": "https://h/b/a.ts?x\\y",
		"http:\\\\h/a.ts":          "http://h/a.ts",
		"http:h/a.ts":              "http://h/a.ts",
		"http:/h/a.ts":             "http://h/a.ts",
		"https:a.ts":               "https://cdn.example/live/ch1/a.ts",
		"HTTPS:a.ts":               "https://cdn.example/live/ch1/a.ts",
		"https:/a/b.ts":            "https://cdn.example/a/b.ts",
		"https:../b.ts":            "https://cdn.example/live/b.ts",
		"https://e%2Ee/a.ts":       "https://e.e/a.ts",
		"https://EVIL%2eExample/a": "https://evil.example/a",
		"https://h%3A81/a":         "https://h:81/a",
		"https://u@h":              "https://h",
		"https://u@h?q=@":          "https://h?q=@",
		"//u@h/a/../b.ts":          "https://h/b.ts",
		"/\\u@h/a.ts":              "",
		"https://h:99999999999/a":  "https://h:99999999999/a",
		"https://[::1]:80/a":       "https://[::1]:80/a",
		"https://u:p@[::1]:81/a":   "https://[::1]:81/a",
		"https://a b/x":            "",
		"https://h%2f/x":           "",
		"https://h:8a/x":           "",
		"https://":                 "",
		"https:///":                "",
		"https://@/x":              "",
		"https://?x":               "",
	} {
		t.Run(written, func(t *testing.T) {
			m := rewrite.Query("/q", "u")
			asked := ""
			rw := &rewrite.Rewriter{Map: m, Unmapped: func(ref rewrite.Ref) rewrite.Action { asked = ref.URL; return rewrite.Keep }}
			out := rewritten(t, rw, "#EXTM3U\n#EXT-X-MAP:URI=\""+written+"\"\n", at)
			uri := strings.Split(out, "\"")[1]
			if read == "" && strings.HasPrefix(uri, "/q/") {
				return // within the proxy all the same
			}
			if read == "" {
				require.NotEmpty(t, asked)
				require.Equal(t, written, uri)
				return
			}
			require.Empty(t, asked)
			require.Equal(t, read, upstreamOf(t, m, uri))
		})
	}
}

func TestWhatNoMapperTakes(t *testing.T) {
	m, err := rewrite.Prefix("/p/", "https://cdn.example/live/")
	require.NoError(t, err)
	const (
		x     = "https://other.example/"
		inf   = "#EXTINF:4,\n"
		media = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n"
		multi = "#EXTM3U\n#EXT-X-INDEPENDENT-SEGMENTS\n"
		own   = "#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n"
	)
	for name, c := range map[string]struct{ in, out string }{
		"a segment": {media + inf + "a.ts\n#EXT-X-DISCONTINUITY\n#EXT-X-BYTERANGE:1@0\n" + inf + x + "b.ts\n" + inf + "c.ts\n",
			media + inf + "/p/ch1/a.ts\n#EXT-X-DISCONTINUITY\n" + inf + "/p/ch1/c.ts\n"},
		"the last segment, no line end": {media + inf + "a.ts\n" + inf + x + "b.ts", media + inf + "/p/ch1/a.ts\n"},
		"CRLF":                          {"#EXTM3U\r\n" + inf + "a.ts\r\n#EXTINF:4,\r\n" + x + "b.ts\r\n", "#EXTM3U\r\n" + inf + "/p/ch1/a.ts\r\n"},
		"a variant":                     {multi + own + "#EXT-X-STREAM-INF:BANDWIDTH=2\n# why\n" + x + "b.m3u8\n", multi + strings.ReplaceAll(own, "a.m", "/p/ch1/a.m") + "# why\n"},
		"a rendition": {multi + own + "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"1\",URI=\"" + x + "1.m3u8\"\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"2\",URI=\"2.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=2,AUDIO=\"a\"\nb.m3u8\n",
			multi + strings.ReplaceAll(own, "a.m", "/p/ch1/a.m") + "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"2\",URI=\"/p/ch1/2.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=2,AUDIO=\"a\"\n/p/ch1/b.m3u8\n"},
		"the last rendition of a group": {multi + own + "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"1\",URI=\"" + x + "1.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=2,AUDIO=\"a\"\nb.m3u8\n",
			multi + strings.ReplaceAll(own, "a.m", "/p/ch1/a.m")},
		"a rendition without a URI": {multi + own + "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"0\"\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"1\",URI=\"" + x + "1.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=2,AUDIO=\"a\"\nb.m3u8\n",
			multi + strings.ReplaceAll(own, "a.m", "/p/ch1/a.m") + "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"0\"\n#EXT-X-STREAM-INF:BANDWIDTH=2,AUDIO=\"a\"\n/p/ch1/b.m3u8\n"},
		"a key": {media + inf + "a.ts\n#EXT-X-KEY:METHOD=AES-128,URI=\"" + x + "k\"\n" + inf + "b.ts\n" + inf + "c.ts\n#EXT-X-KEY:METHOD=NONE\n" + inf + "d.ts\n",
			media + inf + "/p/ch1/a.ts\n#EXT-X-KEY:METHOD=NONE\n" + inf + "/p/ch1/d.ts\n"},
		"a section": {media + inf + "a.ts\n#EXT-X-MAP:URI=\"" + x + "i.mp4\"\n#EXT-X-PART:DURATION=1,URI=\"p.mp4\"\n" + inf + "b.mp4\n#EXT-X-MAP:URI=\"i.mp4\"\n" + inf + "c.mp4\n",
			media + inf + "/p/ch1/a.ts\n#EXT-X-MAP:URI=\"/p/ch1/i.mp4\"\n" + inf + "/p/ch1/c.mp4\n"},
		"tags": {media + "#EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"" + x + "k\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"" + x + "p\"\n#EXT-X-RENDITION-REPORT:URI=\"" + x + "r\"\n#EXT-X-PREFETCH:" + x + "\n" + inf + "a.ts\n",
			media + inf + "/p/ch1/a.ts\n"},
		"another scheme": {media + "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://k\"\n" + inf + "data:x\n", media + "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://k\"\n" + inf + "data:x\n"},
		"with variables": {media + "#EXT-X-DEFINE:NAME=\"x\",VALUE=\"" + x + "\"\n" + inf + "{$x}a.ts\n" + inf + "a.ts\n", media + "#EXT-X-DEFINE:NAME=\"x\",VALUE=\"" + x + "\"\n" + inf + "/p/ch1/a.ts\n"},
	} {
		t.Run(name, func(t *testing.T) {
			drop := func(rewrite.Ref) rewrite.Action { return rewrite.Drop }
			for _, m := range []rewrite.Mapper{m, hidden{m}} {
				require.Equal(t, c.out, rewritten(t, &rewrite.Rewriter{Map: m, Unmapped: drop}, c.in, base))
			}
			rw := &rewrite.Rewriter{Map: m, Unmapped: func(rewrite.Ref) rewrite.Action { return rewrite.Fail }}
			_, err := rw.Append(t.Context(), nil, []byte(c.in), base)
			if strings.Contains(c.in, x) {
				require.ErrorIs(t, err, rewrite.ErrUnmapped)
				require.Equal(t, 502, status(err))
			} else {
				require.NoError(t, err)
			}
			rw.Unmapped = func(rewrite.Ref) rewrite.Action { return rewrite.Keep }
			require.Equal(t, rewritten(t, &rewrite.Rewriter{Map: m}, c.in, base), rewritten(t, rw, c.in, base))
		})
	}
	for _, text := range []string{media + inf + x + "a.ts\n", multi + "#EXT-X-STREAM-INF:BANDWIDTH=2\n" + x + "b.m3u8\n"} {
		_, err := (&rewrite.Rewriter{Map: m, Unmapped: func(rewrite.Ref) rewrite.Action { return rewrite.Drop }}).Append(t.Context(), nil, []byte(text), base)
		require.ErrorIs(t, err, rewrite.ErrUnmapped, "nothing is left")
	}
	calls := 0
	_, err = (&rewrite.Rewriter{Map: m, Unmapped: func(rewrite.Ref) rewrite.Action { calls++; return rewrite.Action(calls % 2) }}).Append(t.Context(), nil, []byte(media+inf+x+"a.ts\n"+x+"b.ts\n"+x), base)
	_ = err // one that changes its mind ends, in whatever way
}

func TestWhatNoMapperTakesInJSON(t *testing.T) {
	m, err := rewrite.Prefix("/p/", "https://cdn.example/live/")
	require.NoError(t, err)
	for in, want := range map[string]string{
		`{"ASSETS":[{"URI":"a.m3u8"},{"URI":"https://other/b.m3u8"} ,{"URI":"c.m3u8"}]}`: `{"ASSETS":[{"URI":"https://me/p/a.m3u8"},{"URI":"https://me/p/c.m3u8"}]}`,
		`{"ASSETS":[{"URI":"https://other/b.m3u8"}]}`:                                    `{"ASSETS":[]}`,
		`{"VERSION":1,"RELOAD-URI":"https://other/s.json","PATHWAY-PRIORITY":["a"]}`:     `{"VERSION":1,"RELOAD-URI":"","PATHWAY-PRIORITY":["a"]}`,
		`{"VERSION":1,"PATHWAY-CLONES":[{"ID":"a","URI-REPLACEMENT":{"PER-VARIANT-URIS":{"v":"https://other/v"}}},{"ID":"b","URI-REPLACEMENT":{"PER-VARIANT-URIS":{"v":"v"}}}]}`: `{"VERSION":1,"PATHWAY-CLONES":[{"ID":"b","URI-REPLACEMENT":{"PER-VARIANT-URIS":{"v":"https://me/p/v"}}}]}`,
		"\ufeff" + `{"ASSETS":[{"URI":" a.m3u8 "}]}`: "\ufeff" + `{"ASSETS":[{"URI":"https://me/p/a.m3u8"}]}`,
	} {
		resp := response("https://cdn.example/live/list.json", "application/json", in)
		rw := &rewrite.Rewriter{Map: m, Public: "https://me", Unmapped: func(rewrite.Ref) rewrite.Action { return rewrite.Drop }}
		require.NoError(t, rw.ModifyResponse(resp))
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, want, string(text))
	}
}

func TestBlanksAroundAURIStay(t *testing.T) {
	const in = "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\" k\t\"\n#EXT-X-MEDIA:TYPE=AUDIO,URI=\"\t a.m3u8\"\n#EXT-X-MAP:URI=\"  \"\n"
	const want = "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\" [https://cdn.example/live/ch1/k]\t\"\n#EXT-X-MEDIA:TYPE=AUDIO,URI=\"\t [https://cdn.example/live/ch1/a.m3u8]\"\n#EXT-X-MAP:URI=\"  \"\n"
	require.Equal(t, want, rewritten(t, &rewrite.Rewriter{Map: marked{}}, in, base))
}

func TestBlanksBeforeAPlaylistStay(t *testing.T) {
	for _, before := range []string{" ", "\t\n \r\n", "\xef\xbb\xbf \n", "junk\n #EXTM3UX\n  "} {
		resp := response("https://h/x.m3u8", "", before+"#EXTM3U\na.ts\n")
		require.NoError(t, (&rewrite.Rewriter{}).ModifyResponse(resp), "%q", before)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, before+"#EXTM3U\nhttps://h/a.ts\n", string(text))
	}
}

// Programs on Windows write paths with backslashes. Browsers read them as slashes, in front of a query.
func TestBackslashesAreSlashes(t *testing.T) {
	tree, err := rewrite.Prefix("/p/", "https://cdn.example/live/")
	require.NoError(t, err)
	for in, want := range map[string]string{
		`seg\1.ts`:                       "/p/ch1/seg/1.ts",
		`..\ch2\.\1.ts?a\b`:              "/p/ch2/1.ts?a%255Cb",
		`\live\1.ts`:                     "/p/1.ts",
		`https:\\cdn.example\live\1.ts`:  "/p/1.ts",
		`https://cdn.example/live\1.ts`:  "/p/1.ts",
		`\\cdn.example\live\1.ts#t\1`:    `/p/1.ts#t\1`,
		`\\other.example\1.ts`:           "https://other.example/1.ts",
		`skd://a\b`:                      `skd://a\b`,
		`a?b=\`:                          "/p/ch1/a?b=%255C",
		`..\..\..\..\..\..\live\ch1\.ts`: "/p/ch1/.ts",
	} {
		got := rewritten(t, &rewrite.Rewriter{Map: tree}, "#EXTM3U\n#EXTINF:4,\n"+in+"\n#EXT-X-MAP:URI=\""+in+"\"\n", base)
		require.Equal(t, "#EXTM3U\n#EXTINF:4,\n"+want+"\n#EXT-X-MAP:URI=\""+want+"\"\n", got, in)
	}
}
