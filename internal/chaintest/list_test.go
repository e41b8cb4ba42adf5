package chaintest_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

// In an IPTV list through a Sealer, no entry shows the fields of its requests, and two entries that differ only in these
// differ.
func TestIPTVListThroughASealer(t *testing.T) {
	sealer, err := sign.NewSealer(sign.Config{Keys: []sign.Key{{Secret: []byte("sixteen random bytes, or more")}}}, "/s/")
	require.NoError(t, err)
	rw := &rewrite.Rewriter{Map: sealer, Sign: sealer, Hints: true, Guides: true, Public: "https://me"}
	out, err := rw.Append(t.Context(), nil, []byte(`#EXTM3U x-tvg-url="http://g.example/guide.xml"
#EXTINF:-1 tvg-logo="http://l.example/1.png",One
http://tv.example/1.m3u8|Referer=https://secret.example/
#EXTINF:-1,The same without
http://tv.example/1.m3u8
#EXTVLCOPT:http-referrer=https://secret.example/
#EXTINF:-1,The same
http://tv.example/1.m3u8
`), "http://list.example/all.m3u")
	require.NoError(t, err)
	require.NotContains(t, string(out), "secret")
	require.NotContains(t, string(out), "EXTVLCOPT")
	require.NotContains(t, string(out), "example")
	var entries []string
	for line := range strings.Lines(string(out)) {
		if link, ok := strings.CutPrefix(strings.TrimSpace(line), "https://me"); ok {
			entries = append(entries, link)
			upstream, err := sealer.Upstream(&url.URL{Path: link})
			require.NoError(t, err)
			require.Equal(t, "http://tv.example/1.m3u8", upstream)
		}
	}
	require.Len(t, entries, 3)
	require.Equal(t, entries[0], entries[2])
	require.NotEqual(t, entries[0], entries[1])
}
