package rewrite_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

func addPlaylists(f *testing.F) {
	for _, p := range []string{
		"", "\n", "#EXTM3U", small, ladder, "text\r#EXTM3U\r\na\r\rb", "\xef\xbb\xbf#EXTM3U\n\xff{$\n",
		"#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"\n{$a}\n#EXT-X-STREAM-INF:X\n{$b}{$a}\n#EXT-X-DEFINE:QUERYPARAM=\"k\"\n{$k}",
		"#EXT-X-KEY:KEYFORMAT=x,URI=\"a\",URI=b , URI =\"c\n#EXT-X-MAP:,,=,\"\",URI=\"", "../../x\n/x\n//x\n?x\n#x\n./x:y\nhttp:x\nhttp://h/../x#y",
		"#EXT-X-DATERANGE:ID=\"a\",X-ASSET-URI=\"x\"\n#EXT-X-DATERANGE:ID=\"a\",CLASS=\"com.apple.hls.interstitial\",X-ASSET-LIST=\"y\"",
		"a/s1.ts?x=1/2\na/s2.ts?x=2/3\na/s3.ts?x=3/4\na/.3.ts?x=3/4\nb/x3.ts?x=3_4", "../12345678.ts\n../12345679.ts\n../1234567%.ts\n../12345670.ts",
		"#EXT-X-KEY:IV=1\",URI=\"a\"\n#EXT-X-MEDIA:X=\"a\"b\"c, URI=\"d\"e,URI=\"f\"",
		"a b\n\ta%zz \n_HLS_x?_HLS_y\nx//y/../z\n.ts\n#EXT-X-PREFETCH: x",
	} {
		f.Add(p, base)
	}
	f.Add("a\n../b\n/c\n?d", "http://h//a/./b/../c%2f/x?y")
	f.Add("a", "x")
}

func FuzzIdentityIsIdentity(f *testing.F) {
	addPlaylists(f)
	f.Fuzz(func(t *testing.T, playlist, _ string) {
		out, err := (&rewrite.Rewriter{Map: identity{}}).Append(context.Background(), nil, []byte(playlist), "")
		require.NoError(t, err)
		require.Equal(t, playlist, string(out))
	})
}

// The short way and the long way of the Rewriter agree, and both change nothing but URIs.
func FuzzEditsTouchOnlyURIs(f *testing.F) {
	addPlaylists(f)
	all := mappers(f)
	m, err := rewrite.Prefix("/p/", "https://cdn.example/live/")
	require.NoError(f, err)
	all["cdn"] = m
	f.Fuzz(func(t *testing.T, playlist, base string) {
		if strings.Contains(playlist, "DEFINE") {
			return // a definition may change too
		}
		for name, m := range all {
			short, err := (&rewrite.Rewriter{Map: m}).Append(context.Background(), []byte("x"), []byte(playlist), base)
			require.NoError(t, err)
			long, err := (&rewrite.Rewriter{Map: hidden{m}}).Append(context.Background(), nil, []byte(playlist), base)
			require.NoError(t, err)
			require.Equal(t, string(long), string(short[1:]), name)
		}
		requireOnlyURIsChange(t, playlist, base)
	})
}

// The short way and the long way of the Rewriter sign the same URLs, also where lines are like others before.
func FuzzSigning(f *testing.F) {
	addPlaylists(f)
	for _, lines := range []string{
		"#EXTINF:6.00600,\nseg_000001.ts?t=1\n#EXTINF:6.00600,\nseg_000002.ts?t=1", "#EXT-X-KEY:METHOD=AES-128,URI=\"/k/1.key\",IV=0x0a1b2c",
		"#EXT-X-RENDITION-REPORT:URI=\"../1/1.m3u8\",LAST-MSN=1", "#EXTINF:1,\na1/s1.ts\n#EXTINF:1,\na2/s1.ts\n#EXTINF:1,\na1/s2.tt",
	} {
		f.Add(lines, base)
	}
	all := mappers(f)
	signers := map[string]rewrite.Signer{
		"odd": rewrite.SignFunc(odd), "alike": signsAlike{alike}, "none alike": signsNoneAlike{alike}, "odd, none alike": signsNoneAlike{odd},
	}
	f.Fuzz(func(t *testing.T, lines, base string) {
		if strings.Contains(lines, "DEFINE") {
			return // variables can make a result too large
		}
		playlist := []byte(strings.Repeat(lines+"\n", 4))
		for name, m := range all {
			for how, s := range signers {
				short, err := (&rewrite.Rewriter{Map: m, Sign: s}).Append(context.Background(), []byte("x"), playlist, base)
				require.NoError(t, err)
				long, err := (&rewrite.Rewriter{Map: hidden{m}, Sign: s}).Append(context.Background(), nil, playlist, base)
				require.NoError(t, err)
				require.Equal(t, string(long), string(short[1:]), "%s, %s", name, how)
			}
		}
	})
}

var escapes = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// unescaped is a text without escapes. Bytes of a fragment that would be read as something else are escaped.
func unescaped(text []byte) []byte {
	return escapes.ReplaceAllFunc(text, func(escape []byte) []byte {
		c, _ := hex.DecodeString(string(escape[1:]))
		return c
	})
}

// requireOnlyURIsChange maps every URI to a mark, and requires that what stands between the marks is the playlist.
func requireOnlyURIsChange(t *testing.T, playlist, base string) {
	const mark = "\x00\x01mark\x02"
	if strings.Contains(playlist+base, mark) {
		return
	}
	rw := &rewrite.Rewriter{Map: mapperFunc(func(dst, _ []byte) ([]byte, error) { return append(dst, mark...), nil })}
	out, err := rw.Append(context.Background(), nil, []byte(playlist), base)
	require.NoError(t, err)
	rest := unescaped([]byte(playlist))
	for i, text := range bytes.Split(out, []byte(mark)) {
		text = unescaped(text)
		at := bytes.Index(rest, text)
		require.True(t, at == 0 || at > 0 && i > 0, "%q is not in %q", text, rest)
		rest = rest[at+len(text):]
	}
}

func FuzzRefs(f *testing.F) {
	addPlaylists(f)
	f.Fuzz(func(t *testing.T, playlist, base string) {
		for ref, err := range rewrite.Refs([]byte(playlist), base) {
			require.NotEmpty(t, ref.Tag)
			require.NotZero(t, ref.Kind)
			if err != nil && !errors.Is(err, rewrite.ErrTooLarge) {
				require.ErrorIs(t, err, rewrite.ErrUndefined)
			}
		}
		filtered := &rewrite.Rewriter{Variant: most(720)}
		_, err := filtered.Append(context.Background(), nil, []byte(playlist), base)
		if !errors.Is(err, rewrite.ErrTooLarge) {
			require.NoError(t, err)
		}
	})
}
