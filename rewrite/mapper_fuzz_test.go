package rewrite_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

func FuzzMapperLaw(f *testing.F) {
	for _, rest := range []string{
		"", "/", "x/seg1.ts?k=v/&w#f", "/x///y", "x y%20z%2fzz%zz%", "%2520%25%252f", "a\x00\r\n\tb\xff\xfeé", "{$x}|\\^`'\"<>", "..;/%2e%2e",
		"?#", "?a#b&c#d", "s.ts?_HLS_msn=1&&_HLS_", "s.m3u8?_HLS_msn=1", "*", ":80/", "[::1]:80/x", "@h/x", "a.b.c/.../.x", "x?%2523y", "x?a%25",
	} {
		f.Add(rest)
	}
	all := mappers(f)
	f.Fuzz(func(t *testing.T, rest string) {
		for _, m := range all {
			for _, prefix := range []string{"", "http://", "https://h.example", "https://origin.example/a/", "http://127.0.0.1:8080/"} {
				requireLaw(t, m, prefix+rest)
			}
		}
	})
}

func FuzzUpstreamStaysInItsTree(f *testing.F) {
	for _, path := range []string{
		"/live/x", "/live/../x", "/live/%2e%2e/x", "/live/..%2f", "/live/%252E%252E/", "/live/%255C..%255C", "/live/a%252F..", "/live/..;/x", "/live//h",
		"/live/%25", "/live/\\..\\x", "/x/http/h", "/x/http/h/%252525zz", "/live/x%252F", "/live/%252525", "/live/.%09./", "/live/..%2520", "/live/.%2e", "/live/%252F%252Fevil/",
	} {
		f.Add(path, "a=b&_HLS_msn=1")
	}
	all := mappers(f)
	f.Fuzz(func(t *testing.T, path, query string) {
		urls := []*url.URL{{Path: path, RawQuery: query}, {Path: path, RawPath: path, RawQuery: query}}
		if u, err := url.ParseRequestURI(path); err == nil {
			urls = append(urls, u)
		}
		for _, u := range urls {
			requireInside(t, all["prefix"].Upstream, u)
			for _, name := range []string{"prefix", "root", "host"} {
				requireBackwards(t, all[name], u)
			}
		}
	})
}

// requireBackwards checks that a mapper takes no path but the one that it writes, and of queries those that it writes and
// those that say the same without its marks.
func requireBackwards(t *testing.T, m rewrite.Mapper, u *url.URL) {
	got, err := m.Upstream(u)
	if err != nil {
		return
	}
	back, err := m.AppendPublic(nil, []byte(got))
	require.NoError(t, err, "%q", got)
	path, query, _ := strings.Cut(string(back), "?")
	require.Equal(t, u.EscapedPath(), path, "%q", got)
	if strings.Contains(u.RawQuery, "%25") && !strings.Contains(u.RawQuery, "_HLS_") && !strings.ContainsAny(u.RawQuery, "\\^`{|}#&") && asSent("http://h/?"+u.RawQuery) == "http://h/?"+u.RawQuery {
		require.Equal(t, u.RawQuery, query, "%q", got)
	}
	again, err := m.Upstream(arrives(t, string(back)))
	require.NoError(t, err)
	require.Equal(t, got, again)
}

func requireInside(t *testing.T, upstream func(*url.URL) (string, error), u *url.URL) {
	got, err := upstream(u)
	if err != nil {
		require.Equal(t, 404, status(err))
		return
	}
	rest, ok := strings.CutPrefix(got, "https://origin.example/a/")
	require.True(t, ok, "%q", got)
	rest, _, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	// Decode as the most lenient server would, with backslashes as slashes.
	if plain, err := url.PathUnescape(rest); err == nil {
		rest = plain
	}
	for segment := range strings.SplitSeq(strings.ReplaceAll(rest, "\\", "/"), "/") {
		require.NotContains(t, []string{".", ".."}, segment, "%q", got)
	}
}
