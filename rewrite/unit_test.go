package rewrite_test

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"regexp"
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
		"#EXTINF:1,\n1.ts?s=%21%2f&e=1~&k=a'1\n", "%21/1.ts\n", "1.ts?a=1&_HLS_msn=1&b=%211\n",
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
				for _, rw := range []*rewrite.Rewriter{{}, {Sign: rewrite.SignFunc(odd)}, {Sign: signsAlike{alike}}} {
					rw.Skip = func(rewrite.Ref) bool { return false }
					want := rewritten(t, rw, b.String(), base)
					rw.Skip = nil
					require.Equal(t, want, rewritten(t, rw, b.String(), base), "no Mapper: %q", b.String())
					rw.Map = hidden{m}
					want = rewritten(t, rw, b.String(), base)
					rw.Map = m
					require.Equal(t, want, rewritten(t, rw, b.String(), base), "%s: %q", name, b.String())
				}
			}
		}
	}
}

// alike signs by all that SignAlike says may matter: everything but digits of the file name before its extension, and of
// the query.
func alike(_ context.Context, u []byte) ([]byte, error) {
	path, query, found := strings.Cut(string(u), "?")
	at := strings.LastIndexByte(path, '/') + 1
	dot := at + max(strings.LastIndexByte(path[at:], '.'), 0)
	if dot == at && !strings.HasPrefix(path[at:], ".") {
		dot = len(path)
	}
	plain := regexp.MustCompile("[0-9]").ReplaceAllString
	sum := crc32.ChecksumIEEE([]byte(path[:at] + plain(path[at:dot], "0") + path[dot:] + "?" + plain(query, "0")))
	if found {
		return fmt.Appendf(u, "&sum=%d", sum), nil
	}
	return fmt.Appendf(u, "?sum=%d", sum), nil
}

type signsAlike struct{ rewrite.SignFunc }

func (signsAlike) SignAlike(context.Context, []byte) bool { return true }

// Each playlist is signed for itself, whatever was learned from those before, and a hook that does not append, or
// appends what has to be escaped, is called for each URL.
func TestSigningAlike(t *testing.T) {
	m, err := rewrite.Prefix("/p/", "https://cdn.example/live/")
	require.NoError(t, err)
	playlist := strings.Repeat("seg1.ts\nseg2.ts\nseg3.ts\n", 3)
	calls := 0
	for i, sign := range []func(u []byte) []byte{
		func(u []byte) []byte { return append(u, "?a"...) }, func(u []byte) []byte { return append(u, "?bb"...) }, nil,
		func(u []byte) []byte { return fmt.Appendf(nil, "/x%s", u) }, func(u []byte) []byte { return append(u, "?\n"...) },
		func(u []byte) []byte { return append(u, "?ccc"...) }, func(u []byte) []byte { return u },
	} {
		rw := &rewrite.Rewriter{Map: m}
		want := rewritten(t, &rewrite.Rewriter{Map: m}, playlist, "https://cdn.example/live/x")
		if sign != nil {
			f := rewrite.SignFunc(func(_ context.Context, u []byte) ([]byte, error) { calls++; return sign(u), nil })
			rw.Sign = signsAlike{f}
			want = rewritten(t, &rewrite.Rewriter{Map: hidden{m}, Sign: f}, playlist, "https://cdn.example/live/x")
		}
		calls = 0
		require.Equal(t, want, rewritten(t, rw, playlist, "https://cdn.example/live/x"), i)
		if i == 0 || i == 1 || i == 5 {
			require.Less(t, calls, 4, "of 9")
		}
	}
}

type signsNoneAlike struct{ rewrite.SignFunc }

func (signsNoneAlike) SignAlike(context.Context, []byte) bool { return false }

// A Signer may be slow, so none is called more often than there are URLs.
func TestASignerIsCalledOnceForEachURL(t *testing.T) {
	playlist := strings.Repeat("#EXTINF:1,\nseg1.ts\n#EXTINF:1,\nseg2.ts\n#EXT-X-KEY:METHOD=AES-128,URI=\"k1.key\"\n", 6)
	for name, m := range mappers(t) {
		for range 3 {
			calls := 0
			sign := rewrite.SignFunc(func(_ context.Context, u []byte) ([]byte, error) { calls++; return append(u, "?t"...), nil })
			for _, s := range []rewrite.Signer{sign, signsNoneAlike{sign}} {
				calls = 0
				got := rewritten(t, &rewrite.Rewriter{Map: m, Sign: s}, playlist, base)
				require.Equal(t, strings.Count(got, "?t"), calls, name)
			}
			calls = 0
			rewritten(t, &rewrite.Rewriter{Map: m, Sign: signsAlike{sign}}, playlist, base)
			require.LessOrEqual(t, calls, 18, name)
		}
	}
}

func TestSigningAlikeFails(t *testing.T) {
	m := rewrite.Query("/p", "u")
	rw := &rewrite.Rewriter{Map: m, Sign: signsAlike{func(context.Context, []byte) ([]byte, error) { return nil, io.ErrUnexpectedEOF }}}
	playlist := strings.Repeat("seg1.ts\n", 9)
	rewritten(t, &rewrite.Rewriter{Map: m}, playlist, base)
	_, err := rw.Append(t.Context(), nil, []byte(playlist), base)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// odd signs in every way that a hook may think of, by what the URL is.
func odd(_ context.Context, u []byte) ([]byte, error) {
	switch sum := len(u) + int(u[max(len(u)-4, 0)]); sum % 6 {
	case 0:
		return append(u, "?token=\"{$a}\n "...), nil
	case 1:
		u[min(1, len(u)-1)] = '\n'
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
