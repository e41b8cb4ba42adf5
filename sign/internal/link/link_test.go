package link_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/sign/internal/link"
	"github.com/stretchr/testify/require"
)

func TestAURLComesApartAndTogether(t *testing.T) {
	for text, want := range map[string][4]string{ // root, path, query, fragment
		"https://h/a/b.ts?x=1#f": {"https://h", "/a/b.ts", "x=1", "#f"},
		"/a/b.ts":                {"", "/a/b.ts", "-", ""},
		"//h?#":                  {"//h", "", "", "#"},
		"http://h#?/":            {"http://h", "", "-", "#?/"},
	} {
		p, ok := link.Split([]byte(text))
		require.True(t, ok, text)
		query, has := p.Query()
		if !has {
			query = []byte("-")
		}
		require.Equal(t, want, [4]string{string(p.Root()), string(p.Path()), string(query), string(p.Fragment())}, text)
		require.Equal(t, text, string(p.WithoutFragment())+string(p.Fragment()))
	}
	for _, text := range []string{"", "a.ts", "http://", "https:///a", "skd://x", "//"} {
		_, ok := link.Split([]byte(text))
		require.False(t, ok, text)
	}
}

func TestSpellingIsWhatAllClientsSend(t *testing.T) {
	for text, want := range map[string]string{
		"https://h/My Show.ts?x=a b#f g": "https://h/My%20Show.ts?x=a%20b#f g",
		"/a\\b/\u00fc|\"<>^`{}.ts":       "/a/b/%C3%BC%7C%22%3C%3E%5E%60%7B%7D.ts",
		"/100%.ts?x=%zz'":                "/100%25.ts?x=%25zz%27",
		"/a\tb\r\n.ts?\t":                "/ab.ts?",
		"/plain%20.ts?x=%41":             "/plain%20.ts?x=%41",
	} {
		p, ok := link.Split([]byte(text))
		require.True(t, ok)
		require.Equal(t, text != want, p.IsOdd(), text)
		p.Spell()
		require.Equal(t, want, string(p.Text))
		require.False(t, p.IsOdd(), "once is enough")
	}
}

func TestMeansParam(t *testing.T) {
	for query, want := range map[string]bool{
		"": false, "hpt": true, "hpt=1": true, "x=1&hpt.=2": true, "hptx": false, "x=hpt": false,
		"h%70t=1": true, "x=%41&hpt=1": true, "%68%70%74.": true, "%2568pt": false, "h%7": false, "h%7&hpt": true,
		"hpt+": false, "+hpt": false, "h%70t+": false, "h+t": false, "x=+&hpt": true, "hpt%2B": false,
	} {
		require.Equal(t, want, link.MeansParam([]byte(query), "hpt"), query)
	}
}

// FuzzMeansParam compares it with a look at the meaning of each name.
func FuzzMeansParam(f *testing.F) {
	f.Add("x=1&h%70t=2&hpt.+")
	f.Add("+hpt&%68pt..=%")
	f.Fuzz(func(t *testing.T, query string) {
		want := link.HasParam([]byte(query), "hpt")
		for p := range strings.SplitSeq(query, "&") {
			name, _, _ := strings.Cut(p, "=")
			plain, err := url.QueryUnescape(name)
			want = want || err == nil && strings.HasPrefix(plain, "hpt") && strings.Trim(plain[3:], ".") == ""
		}
		require.Equal(t, want, link.MeansParam([]byte(query), "hpt"), "%q", query)
	})
}

// StripParam is the inverse of KeepParam and of appending a token.
func FuzzKeepParam(f *testing.F) {
	f.Add("x=1&hpt=2&hpt.=3&&hpt")
	f.Add("hp&hptx=hpt")
	f.Fuzz(func(t *testing.T, query string) {
		p, ok := link.Split([]byte("/a?" + query))
		before, _ := p.Query()
		if !ok || len(p.Fragment()) > 0 || link.MeansParam(before, "hpt") != link.HasParam(before, "hpt") {
			return // an escaped name becomes plain
		}
		want := string(before)
		if link.HasParam(before, "hpt") {
			p.KeepParam("hpt")
		}
		signed, ok := link.Split(p.Insert([]byte("hpt=token")))
		require.True(t, ok)
		got, _ := signed.Query()
		value, count := link.FindParam(string(got), "hpt")
		require.Equal(t, 1, count, "%q", got)
		require.Equal(t, "token", value)
		stripped, _ := link.StripParam(string(got), "hpt")
		require.Equal(t, want, stripped)
	})
}
