package rewrite_test

import (
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// What a client writes into the URL of a playlist does not decide which directory is signed for it.
func TestClientsDecideNoDirectory(t *testing.T) {
	m, err := rewrite.Prefix("/p/", "https://cdn.example/live/")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		value, uri string // %: the value escaped
		signed     bool
	}{
		"a file below":              {"a", "{$v}.ts", true},
		"a directory below":         {"a%2Fb", "{$v}/x.ts", true},
		"the directory above":       {"..", "{$v}/x.ts", false},
		"the directory above, file": {"..%2Fx", "{$v}.ts", false},
		"escaped dots":              {"%252e%252e", "{$v}/x.ts", false},
		"backslashes":               {"..%5Cother", "{$v}/x.ts", false},
		"control bytes":             {".%09.", "{$v}/x.ts", false},
		"from the top":              {"%2Flive%2Fother", "{$v}/x.ts", false},
		"another host":              {"https:%2F%2Fcdn.example%2Flive%2Fother", "{$v}/x.ts", false},
		"the own one from the top":  {"%2Flive%2Fch1%2Fsub", "{$v}/x.ts", true},
		"a neighbour":               {"ch2", "../{$v}/x.ts", false},
		"the own one, by its name":  {"ch1", "../{$v}/x.ts", true},
		"a file elsewhere":          {"a", "../other/{$v}.ts", true},
		"dots elsewhere":            {"..", "../other/{$v}", false},
		"a slash elsewhere":         {"a%2Fb", "../other/{$v}.ts", false},
		"a query elsewhere":         {"a%2Fb..%2F", "../other/x.ts?t={$v}", true},
		"the end of the path":       {"secret.key%3F", "{$v}.ts", false},
		"a fragment":                {"secret.key%23", "{$v}.ts", false},
		"the end, and nothing else": {"%3F", "../other{$v}/a/x.ts", false},
		"a fragment, and no more":   {"%23", "../other{$v}/a/x.ts", false},
		"through another variable":  {"..", "{$w}/x.ts", false},
		"plain text":                {"..", "../other/x.ts", true},
	} {
		t.Run(name, func(t *testing.T) {
			text := "#EXTM3U\n#EXT-X-DEFINE:QUERYPARAM=\"v\"\n#EXT-X-DEFINE:NAME=\"w\",VALUE=\"{$v}\"\n" + c.uri + "\n"
			for _, m := range []rewrite.Mapper{m, hidden{m}} {
				out := rewritten(t, &rewrite.Rewriter{Map: m, Sign: signsVariables{appends("~signed")}}, text, "https://cdn.example/live/ch1/x.m3u8?v="+c.value)
				require.Equal(t, c.signed, strings.Contains(out, "~signed"), out)
				require.NotContains(t, out, "{$v}/x", "it is substituted all the same")
			}
		})
	}
}

// Imported variables are the playlist's where the Signer covers them, but for those that a client chose before they were.
func TestImportsAreThePlaylistsIfTheyAreSigned(t *testing.T) {
	m, err := rewrite.Prefix("/p/", "https://cdn.example/live/")
	require.NoError(t, err)
	const media = "#EXTM3U\n#EXT-X-DEFINE:IMPORT=\"v\"\n{$v}/x.ts\n"
	for name, c := range map[string]struct {
		sign     rewrite.Signer
		fragment string
		signed   bool
	}{
		"signed":                     {signsVariables{appends("~signed")}, "v=..%2Fother", true},
		"not covered":                {appends("~signed"), "v=..%2Fother", false},
		"in a chain":                 {rewrite.SignChain(appends(""), signsVariables{appends("~signed")}), "v=..%2Fother", true},
		"chosen by a client":         {signsVariables{appends("~signed")}, "v.=..%2Fother", false},
		"chosen, but below":          {signsVariables{appends("~signed")}, "v.=sub", true},
		"not covered, but below":     {appends("~signed"), "v=sub", true},
		"twice, and the first stays": {signsVariables{appends("~signed")}, "v.=..%2Fother;v=..%2Fother", false},
	} {
		t.Run(name, func(t *testing.T) {
			out := rewritten(t, &rewrite.Rewriter{Map: m, Sign: c.sign}, media, "https://cdn.example/live/ch1/x.m3u8#hls-define:"+c.fragment)
			require.Equal(t, c.signed, strings.Contains(out, "~signed"), out)
		})
	}
	out := rewritten(t, &rewrite.Rewriter{Map: m}, "#EXTM3U\n#EXT-X-DEFINE:QUERYPARAM=\"v\"\n#EXT-X-DEFINE:NAME=\"w\",VALUE=\"x{$v}\"\n"+
		"#EXT-X-DEFINE:NAME=\"p\",VALUE=\"y\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n", "https://cdn.example/live/ch1/x.m3u8?v=1")
	require.Contains(t, out, "hls-define:v.=1;w.=x1;p=y", "what the client chose stays its choice on the way")
}

func TestNoTokenLeavesTheHost(t *testing.T) {
	rw := &rewrite.Rewriter{Sign: appends("~signed")}
	for _, uri := range []string{"//evil/x", "/\\evil/x", "/\t/evil/x", "ht\ttp://evil/x", "HTTPS://evil/x", "https://cdn.example.evil/x", "https://cdn.example@evil/x", "https://cdn.example:444/x"} {
		for _, base := range []string{"", "/live/x.m3u8", "https://cdn.example/live/x.m3u8"} {
			if strings.HasPrefix(base, "https:") && !strings.HasPrefix(strings.ToLower(uri), "https:") && !strings.HasPrefix(uri, "//") {
				continue // below the base, by any reading of what is written
			}
			out := rewritten(t, rw, "#EXTM3U\n#EXT-X-MAP:URI=\""+uri+"\"\n", base)
			require.NotContains(t, out, "~signed", "%q at %q", uri, base)
		}
	}
	for _, uri := range []string{"https://cdn.example:443/x", "HTTPS://CDN.example/x", "https://cdn.example?x", "a.ts"} {
		require.Contains(t, rewritten(t, rw, "#EXTM3U\n"+uri+"\n", "https://cdn.example/live/x.m3u8"), "~signed", uri)
	}
}
