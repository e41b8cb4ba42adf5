package rewrite_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

func TestURLsInheritParameters(t *testing.T) {
	const at = "https://o.example/live/master.m3u8?x=1&token=a%2Fb&k=&exp=9"
	for written, want := range map[string]string{
		"v.m3u8":                        "https://o.example/live/v.m3u8?token=a%2Fb&exp=9",
		"v.m3u8?q=1":                    "https://o.example/live/v.m3u8?q=1&token=a%2Fb&exp=9",
		"v.m3u8?token=own":              "https://o.example/live/v.m3u8?token=own&exp=9",
		"v.m3u8?to%6ben=own&exp":        "https://o.example/live/v.m3u8?to%6ben=own&exp",
		"v.m3u8?":                       "https://o.example/live/v.m3u8?token=a%2Fb&exp=9",
		"v.m3u8?a&":                     "https://o.example/live/v.m3u8?a&token=a%2Fb&exp=9",
		"/v.m3u8":                       "https://o.example/v.m3u8?token=a%2Fb&exp=9",
		"https://o.example/v.m3u8":      "https://o.example/v.m3u8?token=a%2Fb&exp=9",
		"HTTPS://O.example:443/v.m3u8":  "HTTPS://O.example:443/v.m3u8?token=a%2Fb&exp=9",
		"https://other.example/v.m3u8":  "https://other.example/v.m3u8",
		"http://o.example/v.m3u8":       "http://o.example/v.m3u8",
		"https://o.example.evil/v.m3u8": "https://o.example.evil/v.m3u8",
		"https://o.example:444/v.m3u8":  "https://o.example:444/v.m3u8",
		"//o.example@evil/v.m3u8":       "https://evil/v.m3u8",
	} {
		t.Run(written, func(t *testing.T) {
			m := rewrite.Query("/q", "u")
			rw := &rewrite.Rewriter{Map: m, Inherit: []string{"token", "exp", "none", "_HLS_msn"}}
			text := "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"" + written + "\"\n#EXTINF:4,\n" + written + "\n"
			lines := strings.Split(rewritten(t, rw, text, at), "\n")
			require.Equal(t, want, upstreamOf(t, m, strings.Split(lines[1], "\"")[1]))
			require.Equal(t, want, upstreamOf(t, m, lines[3]))
			for ref, err := range rw.Refs([]byte(text), at) {
				require.NoError(t, err)
				if !strings.Contains(written, "@") {
					require.Equal(t, want, ref.URL)
				}
			}
			rw.Map = nil
			if !strings.Contains(written, "@") {
				require.Equal(t, want, strings.Split(rewritten(t, rw, text, at), "\n")[3])
			}
		})
	}
}

func TestParametersOutliveARedirect(t *testing.T) {
	for _, c := range []struct{ entry, last, want string }{
		{"https://o.example/ch?token=1", "https://o.example/edge/x.m3u8", "https://o.example/edge/v.m3u8?token=1"},
		{"https://o.example/ch?token=1", "https://o.example/edge/x.m3u8?token=2", "https://o.example/edge/v.m3u8?token=2"},
		{"https://o.example/ch?token=1", "https://other.example/edge/x.m3u8", "https://other.example/edge/v.m3u8"},
	} {
		first, err := url.Parse(c.entry)
		require.NoError(t, err)
		resp := response(c.last, "", "#EXTM3U\nv.m3u8\n")
		resp.Request.Response = &http.Response{StatusCode: 302, Request: &http.Request{URL: first}}
		require.NoError(t, (&rewrite.Rewriter{Inherit: []string{"token"}}).ModifyResponse(resp))
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "#EXTM3U\n"+c.want+"\n", string(text))
	}
}

// Players look for the variant whose URL a report's URI is, or begins.
func TestAReportBeginsTheURLOfItsVariant(t *testing.T) {
	for name, m := range mappers(t) {
		const dir = "https://origin.example/a/"
		if name == "root" {
			continue
		}
		rw := &rewrite.Rewriter{Map: m, Sign: rewrite.SignFunc(tokens)}
		for _, c := range [][2]string{{"v2.m3u8?session=7", "v2.m3u8"}, {"v2.m3u8", "v2.m3u8"}, {"v2.m3u8?session=7", "v2.m3u8?session=7"}} {
			variant := strings.Split(rewritten(t, rw, "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n"+c[0]+"\n", dir+"main.m3u8"), "\n")[2]
			for range 3 { // once it is learned, too
				report := strings.Split(rewritten(t, rw, "#EXTM3U\n"+strings.Repeat("#EXT-X-RENDITION-REPORT:URI=\""+c[1]+"\",LAST-MSN=100\n", 4), dir+"v1.m3u8"), "\"")
				for _, i := range []int{1, 3, 5, 7} {
					require.True(t, strings.HasPrefix(variant, report[i]), "%s: %s is no beginning of %s", name, report[i], variant)
				}
			}
		}
	}
}

// A Signer may change the path, as one does that seals more into the URL. What it appends is nothing for a report.
func TestAReportHasThePathOfItsVariant(t *testing.T) {
	sealed := func(_ context.Context, u []byte) ([]byte, error) {
		return append(bytes.Replace(u, []byte("/a/"), []byte("/sealed/"), 1), "?t=1"...), nil
	}
	for uri, want := range map[string]string{"v2.m3u8": "/sealed/v2.m3u8", "v2.m3u8?s=7": "/sealed/v2.m3u8?s=7?t=1"} {
		t.Run(uri, func(t *testing.T) {
			m, err := rewrite.Prefix("/a/", "https://origin.example/a/")
			require.NoError(t, err)
			rw := &rewrite.Rewriter{Map: m, Sign: rewrite.SignChain(rewrite.SignFunc(sealed))}
			report := "#EXT-X-RENDITION-REPORT:URI=\"" + uri + "\",LAST-MSN=100\n"
			got := rewritten(t, rw, "#EXTM3U\n"+strings.Repeat(report, 3), "https://origin.example/a/v1.m3u8")
			require.Equal(t, "#EXTM3U\n"+strings.Repeat(strings.Replace(report, uri, want, 1), 3), got)
		})
	}
}
