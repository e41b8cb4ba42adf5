package rewrite_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

func TestVariablesAreSubstituted(t *testing.T) {
	const at = "https://cdn.example/live/ch1/"
	for name, c := range map[string]struct{ in, out string }{
		"line":               {"#EXT-X-DEFINE:NAME=\"p\",VALUE=\"a\"\n{$p}/{$p}.ts", "#EXT-X-DEFINE:NAME=\"p\",VALUE=\"a\"\n[" + at + "a/a.ts]"},
		"before resolving":   {"#EXT-X-DEFINE:NAME=\"p\",VALUE=\"https://h/x\"\n{$p}/s.ts", "#EXT-X-DEFINE:NAME=\"p\",VALUE=\"https://h/x\"\n[https://h/x/s.ts]"},
		"attribute":          {"#EXT-X-DEFINE:VALUE=\"a\",NAME=\"p-_1\"\n#EXT-X-MAP:URI=\"{$p-_1}\"", "#EXT-X-DEFINE:VALUE=\"a\",NAME=\"p-_1\"\n#EXT-X-MAP:URI=\"[" + at + "a]\""},
		"once only":          {"#EXT-X-DEFINE:NAME=\"a\",VALUE=\"{$\"\n#EXT-X-DEFINE:NAME=\"b\",VALUE=\"x\"\n{$a}b}.ts", "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"{$\"\n#EXT-X-DEFINE:NAME=\"b\",VALUE=\"x\"\n[" + at + "%7B$b}.ts]"},
		"in a definition":    {"#EXT-X-DEFINE:NAME=\"a\",VALUE=\"x\"\n#EXT-X-DEFINE:NAME=\"b\",VALUE=\"{$a}y\"\n{$b}", "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"x\"\n#EXT-X-DEFINE:NAME=\"b\",VALUE=\"{$a}y\"\n[" + at + "xy]"},
		"empty value":        {"#EXT-X-DEFINE:NAME=\"a\",VALUE=\"\"\n{$a}x\n{$a}", "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"\"\n[" + at + "x]\n{$a}"},
		"first wins":         {"#EXT-X-DEFINE:NAME=\"a\",VALUE=\"1\"\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"2\"\n{$a}", "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"1\"\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"2\"\n[" + at + "1]"},
		"undefined":          {"{$a}/x.ts\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"1\"", "{$a}/x.ts\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"1\""},
		"case counts":        {"#EXT-X-DEFINE:NAME=\"a\",VALUE=\"1\"\n{$A}", "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"1\"\n{$A}"},
		"no reference":       {"{$}/{$a b}/{$a", "[" + at + "%7B$}/%7B$a b}/%7B$a]"},
		"unquoted":           {"#EXT-X-DEFINE:NAME=\"a\",VALUE=\"1\"\n#EXT-X-MAP:URI={$a}", "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"1\"\n#EXT-X-MAP:URI={$a}"},
		"half a definition":  {"#EXT-X-DEFINE:NAME=\"a\"\n#EXT-X-DEFINE:VALUE=\"a\"\n#EXT-X-DEFINE:\n#EXT-X-DEFINE\n#EXT-X-DEFINE:NAME=\"a b\",VALUE=\"1\"\n{$a}", "#EXT-X-DEFINE:NAME=\"a\"\n#EXT-X-DEFINE:VALUE=\"a\"\n#EXT-X-DEFINE:\n#EXT-X-DEFINE\n#EXT-X-DEFINE:NAME=\"a b\",VALUE=\"1\"\n{$a}"},
		"to another scheme":  {"#EXT-X-DEFINE:NAME=\"a\",VALUE=\"skd\"\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"{$a}://x\"", "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"skd\"\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"{$a}://x\""},
		"import without":     {"#EXT-X-DEFINE:IMPORT=\"a\"\n{$a}", "#EXT-X-DEFINE:IMPORT=\"a\"\n{$a}"},
		"query param absent": {"#EXT-X-DEFINE:QUERYPARAM=\"a\"\n{$a}", "#EXT-X-DEFINE:QUERYPARAM=\"a\"\n{$a}"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.out, rewritten(t, &rewrite.Rewriter{Map: marked{}}, c.in, base))
			require.Equal(t, c.in, rewritten(t, &rewrite.Rewriter{Map: identity{}}, c.in, ""))
		})
	}
}

func TestUndefinedVariablesCanBeAnError(t *testing.T) {
	rw := &rewrite.Rewriter{StrictVariables: true}
	_, err := rw.Append(context.Background(), nil, []byte("#EXTM3U\n{$a}"), base)
	require.ErrorIs(t, err, rewrite.ErrUndefined)
	require.ErrorContains(t, err, ": a")
}

func TestQueryParamsKeepWorking(t *testing.T) {
	const in = "#EXTM3U\n#EXT-X-DEFINE:X=1, QUERYPARAM=\"tok\" ,Y=2\ns.ts?t={$tok}\n"
	const at = "https://cdn.example/live/ch1/x.m3u8?a=b&tok=1%2F2&tok="
	prefix, err := rewrite.Prefix("/p/", "https://cdn.example/live/")
	require.NoError(t, err)
	host, err := rewrite.HostPath("/h/")
	require.NoError(t, err)
	const replaced = "#EXT-X-DEFINE:X=1, NAME=\"tok\",VALUE=\"1/2\" ,Y=2"
	const kept = "#EXT-X-DEFINE:X=1, QUERYPARAM=\"tok\" ,Y=2"
	for name, c := range map[string]struct {
		m      rewrite.Mapper
		define string
		uri    string
	}{
		"prefix":       {prefix, kept, "/p/ch1/s.ts?t=1/2"},
		"host path":    {host, kept, "/h/https/cdn.example/live/ch1/s.ts?t=1/2"},
		"none":         {nil, kept, "https://cdn.example/live/ch1/s.ts?t=1/2"},
		"query":        {rewrite.Query("/q", "u"), replaced, "/q/s.ts?u=https%3A%2F%2Fcdn.example%2Flive%2Fch1%2Fs.ts%3Ft%3D1%2F2"},
		"query of tok": {rewrite.Query("/q", "tok"), replaced, "/q/s.ts?tok=https%3A%2F%2Fcdn.example%2Flive%2Fch1%2Fs.ts%3Ft%3D1%2F2"},
		"unmapped":     {mapperFunc(func(dst, u []byte) ([]byte, error) { return nil, rewrite.ErrUnmapped }), replaced, "https://cdn.example/live/ch1/s.ts?t=1/2"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, "#EXTM3U\n"+c.define+"\n"+c.uri+"\n", rewritten(t, &rewrite.Rewriter{Map: c.m}, in, at))
		})
	}

	t.Run("after a redirect", func(t *testing.T) {
		resp := response(at, "audio/mpegurl", in)
		resp.Request.Response = &http.Response{StatusCode: 302}
		require.NoError(t, (&rewrite.Rewriter{Map: prefix}).ModifyResponse(resp))
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Contains(t, string(text), replaced)
	})
	t.Run("imported variables behind it", func(t *testing.T) {
		const at = "https://cdn.example/live/ch1/x.m3u8?tok=1%2F2"
		require.Contains(t, rewritten(t, &rewrite.Rewriter{Map: host}, in, at+"#hls-define:x=1"), replaced, "they read like a part of the value")
		require.Contains(t, rewritten(t, &rewrite.Rewriter{Map: host}, in, at+"&k=v#hls-define:x=1"), kept)
	})
	t.Run("a value that no quoted string can hold", func(t *testing.T) {
		for _, value := range []string{"%22", "%0A", "%7B$x%7D"} {
			out := rewritten(t, &rewrite.Rewriter{Map: rewrite.Query("/q", "u")}, in, "https://h/x?tok="+value)
			require.Contains(t, out, kept)
		}
	})
}

// The values of a multivariant playlist reach its media playlists through their public URLs, whatever the Mapper.
func TestImportsTravelInPublicURLs(t *testing.T) {
	const multivariant = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\",URI=\"a.m3u8\"\n" +
		"#EXT-X-DEFINE:NAME=\"p\",VALUE=\"a b/&;=#é\"\n#EXT-X-DEFINE:QUERYPARAM=\"tok\"\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nv.m3u8?x=1\n"
	const media = "#EXTM3U\n#EXT-X-DEFINE:IMPORT=\"p\"\n#EXT-X-DEFINE:IMPORT=\"tok\"\n#EXT-X-DEFINE:IMPORT=\"no\"\n" +
		"{$p}/1.ts\n{$tok}.ts\n{$no}.ts\n#EXT-X-RENDITION-REPORT:URI=\"a.m3u8\"\n"
	const dir = "https://cdn.example/live/ch1/"
	all := mappers(t)
	var err error
	all["prefix"], err = rewrite.Prefix("/p/", "https://cdn.example/live/")
	require.NoError(t, err)
	delete(all, "root")
	for name, m := range all {
		t.Run(name, func(t *testing.T) {
			rw := &rewrite.Rewriter{Map: m}
			lines := strings.Split(rewritten(t, rw, multivariant, dir+"main.m3u8?tok=secret"), "\n")
			audio := strings.Split(lines[1], "\"")[5]
			child, err := m.Upstream(arrives(t, lines[5]+"&_HLS_msn=3"))
			require.NoError(t, err)
			sent, err := http.NewRequest("GET", child, nil)
			require.NoError(t, err)
			require.Equal(t, "/live/ch1/v.m3u8?x=1&_HLS_msn=3", sent.URL.RequestURI(), "what the origin sees")

			resp := response(child, "audio/mpegurl", media)
			require.NoError(t, rw.ModifyResponse(resp))
			text, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			out := strings.Split(string(text), "\n")
			require.Equal(t, dir+"a%20b/&;=", upstreamOf(t, m, out[4]))
			require.True(t, strings.HasSuffix(out[4], "#é/1.ts"))
			require.Equal(t, dir+"secret.ts", upstreamOf(t, m, out[5]))
			require.Equal(t, "{$no}.ts", out[6])
			require.Equal(t, "#EXT-X-RENDITION-REPORT:URI=\""+audio+"\"", out[7], "a report must equal the rendition's URL")
			require.Less(t, len(lines[5]), 4000)
		})
	}
}

func upstreamOf(t testing.TB, m rewrite.Mapper, public string) string {
	t.Helper()
	public, _, _ = strings.Cut(public, "#")
	u, err := m.Upstream(arrives(t, public))
	require.NoError(t, err)
	return u
}

func TestTooManyVariablesDoNotTravel(t *testing.T) {
	m := rewrite.Query("/q", "u")
	out := rewritten(t, &rewrite.Rewriter{Map: m}, "#EXTM3U\n#EXT-X-DEFINE:NAME=\"p\",VALUE=\""+strings.Repeat("x", 2000)+"\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n", base)
	require.True(t, strings.HasSuffix(out, "\n/q/v.m3u8?u=https%3A%2F%2Fcdn.example%2Flive%2Fch1%2Fv.m3u8\n"))
}

func TestABaseWithAForeignFragmentIsNoImport(t *testing.T) {
	for _, fragment := range []string{"", "#", "#x", "#hls-define:", "#hls-define:p", "#hls-define:p=%zz"} {
		u, err := url.Parse("https://h/x")
		require.NoError(t, err)
		out := rewritten(t, &rewrite.Rewriter{}, "#EXT-X-DEFINE:IMPORT=\"q\"\n{$q}", u.String()+fragment)
		require.Equal(t, "#EXT-X-DEFINE:IMPORT=\"q\"\n{$q}", out)
	}
}

// Whether a key is a foreign one is for the client to find out, which substitutes variables first.
func TestVariablesInKeyFormats(t *testing.T) {
	const define = "#EXTM3U\n#EXT-X-DEFINE:NAME=\"own\",VALUE=\"identity\"\n#EXT-X-DEFINE:NAME=\"drm\",VALUE=\"com.apple.streamingkeydelivery\"\n"
	for format, want := range map[string]string{
		`"{$own}"`: "mapped", `"iden{$none}tity"`: "k", `"{$drm}"`: "k", `"{$own}{$drm}"`: "k", `"{$none}"`: "k", `"identity"`: "mapped", `"com.x"`: "k",
	} {
		m := mapperFunc(func(dst, _ []byte) ([]byte, error) { return append(dst, "mapped"...), nil })
		got := rewritten(t, &rewrite.Rewriter{Map: m}, define+"#EXT-X-KEY:METHOD=AES-128,KEYFORMAT="+format+",URI=\"k\"\n", base)
		require.Equal(t, define+"#EXT-X-KEY:METHOD=AES-128,KEYFORMAT="+format+",URI=\""+want+"\"\n", got)
	}
}

// A client's value may have a fragment. No byte of it ends the line or the attribute that it stands in.
func TestValuesOfVariablesStayInFragments(t *testing.T) {
	const text = "#EXTM3U\n#EXT-X-DEFINE:QUERYPARAM=\"q\"\n#EXTINF:1,\na.ts?x={$q}\n#EXT-X-KEY:METHOD=AES-128,URI=\"k?x={$q}\"\n"
	for name, rw := range map[string]*rewrite.Rewriter{
		"signed": {Map: rewrite.Query("/q", "u"), Sign: rewrite.SignFunc(appends("&token=T"))},
		"drops":  {Map: rewrite.Query("/q", "u"), Unmapped: rewrite.DropUnmapped},
	} {
		out := rewritten(t, rw, text, "https://h/live/x.m3u8?q="+url.QueryEscape("#\"\nhttps://evil/x.ts"))
		require.NotContains(t, out, "\nhttps://evil", name)
		require.Contains(t, out, "#%22%0Ahttps://evil/x.ts\"\n", name)
	}
}
