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

// What is remembered of a line must not change what is found in the next: each line alone gives the same.
func TestLinesDoNotInfluenceEachOther(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	const bytesOfInterest = "0123456789abUX-\",= .:/?"
	rw := &rewrite.Rewriter{Map: marked{}}
	for _, start := range []string{
		`#EXT-X-PART:DURATION=0.33334,URI="p1.m4s",INDEPENDENT=YES`, `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a1",NAME="n1",URI="1.m3u8"`,
		`#EXT-X-KEY:METHOD=AES-128,URI="k1",IV=0x01,KEYFORMAT="identity"`, `#EXT-X-MAP:URI="i1",URI="i2"`, `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="1"`,
		`#EXT-X-MAP:URI=u1,BYTERANGE="1@0"`, `#EXT-X-RENDITION-REPORT:URI="../1/1",LAST-MSN=1`, "#EXT-X-PREFETCH:1.ts",
	} {
		var lines, want []string
		line := []byte(start)
		for i := range 400 {
			if i%20 == 0 {
				line = []byte(start)
			}
			if rnd.IntN(3) == 0 {
				line[rnd.IntN(len(line))] = bytesOfInterest[rnd.IntN(len(bytesOfInterest))]
			}
			for i, c := range line {
				if c >= '0' && c <= '9' && rnd.IntN(2) == 0 {
					line[i] = byte('0' + rnd.IntN(10))
				}
			}
			if strings.HasPrefix(string(line), "#") {
				lines = append(lines, string(line))
				want = append(want, rewritten(t, rw, string(line), base))
			}
		}
		got := strings.Split(rewritten(t, rw, strings.Join(lines, "\n"), base), "\n")
		for i := range want {
			if got[i] != want[i] {
				require.Equal(t, want[i], got[i], fmt.Sprintf("%d after %q", i, lines[max(i-1, 0)]))
			}
		}
	}
}

// What outlives a playlist must not depend on its bytes, which the caller may reuse, nor on the base or the Mapper of then.
func TestPlaylistsDoNotInfluenceEachOther(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	all := mappers(t)
	playlist := []byte("#EXTM3U\n#EXT-X-MAP:URI=\"i1.mp4\"\nseg1000.ts?x=1\n../a/seg1001.ts\nseg1002.ts?x=1\n")
	for range 300 {
		for i, c := range playlist {
			if c >= '0' && c <= '9' && rnd.IntN(4) == 0 {
				playlist[i] = byte('0' + rnd.IntN(10))
			}
		}
		at := []string{"https://cdn.example/x/y/1", "https://origin.example/a/b/c/1", "http://127.0.0.1:8080/x/y"}[rnd.IntN(3)]
		for name, m := range all {
			require.Equal(t, rewritten(t, &rewrite.Rewriter{Map: hidden{m}}, string(playlist), at), rewritten(t, &rewrite.Rewriter{Map: m}, string(playlist), at), name)
			require.Equal(t, rewritten(t, &rewrite.Rewriter{Map: hidden{m}}, string(playlist), base), appendedTo(t, m, playlist, base), name)
		}
	}
}

// Nor on where the URIs of the last playlist led: the same lines lead elsewhere in another directory.
func TestLinesLikeThoseOfAnotherPlaylist(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 10))
	all := mappers(t)
	lines := []string{
		"#EXTINF:1.0,\ns%d.ts?t=%d\n", "#EXTINF:1.0,\n../s%d.ts?t=%d\n", "/a/b/s%d-%d.ts\n", "https://cdn.example/x/s%d.ts?t=%d\n",
		"https://origin.example/a/%d/%d.ts\n", "#EXT-X-PART:URI=\"p%d.%d.m4s\",X=1\n", "../../../s%d.ts?%%41=%d\n", "s~%d.ts?t=%d\n",
	}
	for range 400 {
		var b strings.Builder
		for range 8 {
			fmt.Fprintf(&b, lines[rnd.IntN(len(lines))], 100+rnd.IntN(900), 100+rnd.IntN(900))
		}
		at := []string{
			"https://cdn.example/x/y/1", "https://cdn.example/long/er/way/1", "https://origin.example/a/b/c/1", "http://127.0.0.1:8080/x/y", "x/y", "", "http:///x/y",
			"http:x/y",
		}[rnd.IntN(8)]
		long := &rewrite.Rewriter{Skip: func(rewrite.Ref) bool { return false }}
		require.Equal(t, rewritten(t, long, b.String(), at), rewritten(t, &rewrite.Rewriter{}, b.String(), at), "no Mapper at %q", at)
		for name, m := range all {
			require.Equal(t, rewritten(t, &rewrite.Rewriter{Map: hidden{m}}, b.String(), at), rewritten(t, &rewrite.Rewriter{Map: m}, b.String(), at), "%s at %q", name, at)
		}
	}
}

func appendedTo(t *testing.T, m rewrite.Mapper, playlist []byte, base string) string {
	out, err := (&rewrite.Rewriter{Map: m}).Append(t.Context(), nil, playlist, base)
	require.NoError(t, err)
	return string(out)
}

// What a Rewriter without a Signer has learned of rendition reports, which nobody signs, is not signed by another one.
func TestReportsAreNeverSigned(t *testing.T) {
	m := rewrite.Query("/q", "u")
	text := "#EXTM3U\n" + strings.Repeat("#EXT-X-RENDITION-REPORT:URI=\"r1.m3u8\"\n", 4)
	signed := &rewrite.Rewriter{Map: m, Sign: rewrite.SignFunc(appends("&t=1"))}
	want := rewritten(t, signed, text, base)
	for range 3 {
		rewritten(t, &rewrite.Rewriter{Map: m}, text, base)
		require.Equal(t, want, rewritten(t, signed, text, base))
	}
}

// longToken signs alike, with many bytes.
type longToken struct{ n int }

func (l longToken) Sign(_ context.Context, u []byte) ([]byte, error) {
	return append(append(u, "?t="...), bytes.Repeat([]byte{'x'}, l.n)...), nil
}
func (longToken) SignAlike(context.Context, []byte) bool { return true }

func TestLongTokensStandWhereTheyBelong(t *testing.T) {
	prefix, err := rewrite.Prefix("/live/", "https://cdn.example/live/")
	require.NoError(t, err)
	var b strings.Builder
	b.WriteString("#EXTM3U\n")
	for i := range 12 {
		fmt.Fprintf(&b, "#EXT-X-PART:DURATION=1,URI=\"p%02d.mp4\",BYTERANGE=\"%d@%d\"\n", i, 100+i, 200+i)
	}
	for _, n := range []int{1000, 1<<15 - 3, 1<<15 - 2, 70_000} {
		want := rewritten(t, &rewrite.Rewriter{Map: hidden{prefix}, Sign: longToken{n}}, b.String(), "https://cdn.example/live/x.m3u8")
		got := rewritten(t, &rewrite.Rewriter{Map: prefix, Sign: longToken{n}}, b.String(), "https://cdn.example/live/x.m3u8")
		require.True(t, want == got, n)
	}
}
