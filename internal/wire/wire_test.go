package wire_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/wire"
	"github.com/stretchr/testify/require"
)

func TestPathsThatClimb(t *testing.T) {
	for _, path := range []string{
		".", "..", "../x", "x/..", "x/./y", "/..", "%2e", "%2E%2e/", ".%2e", "x%2f..%5cy", "x\\..", "..;/x", ".;", "..%3b/x",
		"..%20/", ".. ", "%250A../x", ".\t/", "\t.\n.\r/x", "%09..%0d/", ".%09./", "..%00/x", "a%00b", "x\x00", "%2500", "..%3Fx", "..%23",
		"%252e%252e/", "%25252e./", "%%32e%2e/", "%2%65%2e/", "．．/x", "%ef%bc%8e./", "‥/x", "․․", "a／..", "%c0%ae%c0%ae/", "..%c0%af", "..%c1%9cx",
		"%252525252525252e./", ".\u200b./", "\u00a0../x", "../", "a//../b", "。./",
	} {
		require.True(t, wire.Climbs([]byte(path)), "%q", path)
	}
	for _, path := range []string{
		"", "/", "x", "...", ".x", "x.", "..x", "x..", "a/.../b", ".../", "a/.x/y", "a%20b/c.ts", "%20", " ", "a/ /b", "a;b/c", ";..", "é/ü.ts", "%c3%a9.ts", "a%25b.ts",
		"%2520", "100%.ts", "%zz", "%", "..%41/", "a.b/c.d", "日本.ts", "…", "a?b",
	} {
		require.False(t, wire.Climbs([]byte(path)), "%q", path)
	}
}

func TestBytesAreEscapedAsABrowserDoes(t *testing.T) {
	for in, want := range map[string]string{
		"/a b\"<>\\^`{|}'.ts": "/a%20b%22%3C%3E%5C%5E%60%7B%7C%7D'.ts",
		"/é%zz%2fa%":          "/%C3%A9%25zz%2fa%25",
		"/a?b c\"<>\\^`{|}'d": "/a?b%20c%22%3C%3E\\^`{|}%27d",
		"?%zz%é\t":            "?%zz%%C3%A9%09",
		"/x#a b":              "/x#a%20b",
		"/x?a#b?c":            "/x?a#b?c",
		"":                    "",
	} {
		require.Equal(t, want, string(wire.AppendTail([]byte("x"), []byte(in))[1:]), "%q", in)
		require.Equal(t, want, string(wire.AppendTail(nil, []byte(want))), "once more")
	}
}

func FuzzWire(f *testing.F) {
	f.Add("/a b?c d#e f")
	f.Add("/%2fé|{}?'%zz")
	f.Fuzz(func(t *testing.T, tail string) {
		got := string(wire.AppendTail(nil, []byte(tail)))
		require.Equal(t, got, string(wire.AppendTail(nil, []byte(got))), "what is escaped stays")
		if wire.IsPlain(tail) {
			require.Equal(t, tail, got)
		}
		rest, _, _ := strings.Cut(got, "#")
		u, err := url.Parse("http://h/" + strings.TrimPrefix(rest, "/"))
		require.NoError(t, err, "%q", got)
		require.Equal(t, "/"+strings.TrimPrefix(rest, "/"), u.RequestURI(), "net/http sends it as it is")
	})
}

func FuzzClimbs(f *testing.F) {
	f.Add("a/../b")
	f.Add("%252e%2e/")
	f.Fuzz(func(t *testing.T, path string) {
		got := wire.Climbs([]byte(path))
		for plain, layers := path, 0; layers < 4; layers++ {
			for segment := range strings.FieldsFuncSeq(plain, func(r rune) bool { return r == '/' || r == '\\' }) {
				segment = strings.TrimFunc(segment, func(r rune) bool { return r <= ' ' })
				if segment == "." || segment == ".." {
					require.True(t, got, "%q", path)
				}
			}
			next, err := url.PathUnescape(plain)
			if err != nil {
				return
			}
			plain = next
		}
	})
}
