package origin

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlainURL(t *testing.T) {
	for raw, plain := range map[string]bool{
		"https://cdn.example.com/live/a-b_c.~1/seg$1&2+3,4:5;6=7@8.ts?a=%2F&b=c?d/e+": true,
		"http://a/x?a\"b":       false,
		"http://a/x?a<b>":       false,
		"http://a/x?'":          false,
		"http://10.0.0.1:8080/": true,
		"http://a//b/../c/.":    true,
		"HTTP://a/":             false,
		"ftp://a/":              false,
		"http://a":              false,
		"http:///x":             false,
		"http://a:/x":           false,
		"http://:80/x":          false,
		"http://a:8o/x":         false,
		"http://[::1]/x":        false,
		"http://u@a/x":          false,
		"http://a/%41":          false,
		"http://a/ü":            false,
		"http://a/x y":          false,
		"http://a/(x)":          false,
		"http://a/x?":           false,
		"http://a/x#f":          false,
		"http://a/x?q#f":        false,
		"http://a/x?q r":        false,
		"http://a/x\n":          false,
	} {
		require.Equal(t, plain, plainURL(new(url.URL), raw), raw)
	}
}

// plainURL parses the URLs that it accepts like url.Parse.
func FuzzPlainURL(f *testing.F) {
	for _, raw := range []string{"https://cdn.example.com/live/a-b_c.~1/x$1&2+3,4:5;6=7@8.ts?a=%2F&b=c?d/e", "http://10.0.0.1:8080/", "http://a//b/../c/."} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var got url.URL
		if !plainURL(&got, raw) {
			return
		}
		want, err := url.Parse(raw)
		require.NoError(t, err)
		require.Equal(t, *want, got)
		require.Equal(t, raw, got.String())
		require.Empty(t, unfit(&got))
	})
}
