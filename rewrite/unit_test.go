package rewrite_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// Lines that are like others before take a way of their own, in which nothing but their digits is looked at. It must
// lead where the long way leads, whatever the lines are, and wherever a byte differs.
func TestLinesLikeOthersBefore(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	const bytesOfInterest = "0123456789abfXU-~_.\",=:/?%#{$ \r\n"
	all := mappers(t)
	for _, lines := range []string{
		"#EXTINF:6.00600,\nseg_000001.ts?t=1\n", "#EXTINF:6,\r\n../a/1_000001.ts\r\n", "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"/k/1.key\",IV=0x0a1b2c\n",
		"#EXT-X-STREAM-INF:BANDWIDTH=1234,AUDIO=\"a1\"\nv1/i.m3u8\n", "#EXT-X-DATERANGE:ID=\"1\",X-URI=\"1\"\n#EXTINF:1,\n1.ts\n",
		"#EXT-X-PART:DURATION=0.33334,URI=\"p1.1.m4s\",INDEPENDENT=YES\n", "https://cdn.example/live/1/1.ts\n", "#EXTINF:1,\n%41%42+1.ts?x=1/2&_HLS_1=2\n",
		"#EXT-X-KEY:URI=\"k1.key\",KEYFORMAT=\"identity\"\n", "#EXT-X-KEY:URI=\"k1.key\",KEYFORMAT=\"com.x.1\"\n", "+++++.ts?1\n", "a:1/2.ts\n",
		"#EXT-X-MEDIA:URI=\"1.m3u8\",URI=\"2.m3u8\"\n", "#EXT-X-PRELOAD-HINT:URI=\"1.m3u8\",TYPE=MAP\n", "#EXT-X-DEFINE:NAME=\"v1\",VALUE=\"1\"\n{$v1}.ts\n",
	} {
		for range 15 {
			var b bytes.Buffer
			for range 12 {
				text := []byte(lines)
				for i, c := range text {
					if c-'0' < 10 && rnd.IntN(3) == 0 {
						text[i] = byte('0' + rnd.IntN(10))
					}
				}
				if rnd.IntN(4) == 0 {
					text[rnd.IntN(len(text))] = bytesOfInterest[rnd.IntN(len(bytesOfInterest))]
				}
				b.Write(text)
			}
			for name, m := range all {
				for _, sign := range []func(context.Context, []byte) ([]byte, error){nil, odd} {
					want := rewritten(t, &rewrite.Rewriter{Map: hidden{m}, Sign: sign}, b.String(), base)
					require.Equal(t, want, rewritten(t, &rewrite.Rewriter{Map: m, Sign: sign}, b.String(), base), "%s: %q", name, b.String())
				}
			}
		}
	}
}

// odd signs in every way that a hook may think of, by what the URL is.
func odd(_ context.Context, u []byte) ([]byte, error) {
	switch sum := len(u) + int(u[len(u)-4]); sum % 6 {
	case 0:
		return append(u, "?token=\"{$a}\n "...), nil
	case 1:
		u[1] = '\n'
		return append(u, "?token=1"...), nil
	case 2:
		return fmt.Appendf(nil, "%s?t=12345678901234567890{$x}", u), nil
	case 3:
		return u[:len(u)-1], nil
	case 4:
		return append(u, '?'), nil
	}
	return append(u, "?token=12345678901234567890"...), nil
}

// Names that are spelled otherwise in the public path have nothing of their own there that could be replaced.
func TestNamesSpelledOtherwiseInThePath(t *testing.T) {
	m := rewrite.Query("/p", "u")
	playlist := strings.Repeat("+++++.ts?x=1\n+++++.ts?x=2\n", 4)
	got := rewritten(t, &rewrite.Rewriter{Map: m}, playlist, base)
	require.Equal(t, rewritten(t, &rewrite.Rewriter{Map: hidden{m}}, playlist, base), got)
	require.Equal(t, 8, strings.Count(got, "/p/index.ts?u="))
}
