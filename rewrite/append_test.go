package rewrite_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

const base = "https://cdn.example/live/ch1/index.m3u8?k=v/w#f"

// marked shows which bytes were taken for a URI, and what they were resolved to.
type marked struct{}

func (marked) AppendPublic(dst, upstream []byte) ([]byte, error) {
	return append(append(append(dst, '['), upstream...), ']'), nil
}

func (marked) Upstream(u *url.URL) (string, error) { return "", errors.New("one way only") }

// identity maps every URL to itself.
type identity struct{}

func (identity) AppendPublic(dst, upstream []byte) ([]byte, error) {
	return append(dst, upstream...), nil
}

func (identity) Upstream(u *url.URL) (string, error) { return u.String(), nil }

// hidden keeps a Rewriter from seeing which Mapper it has.
type hidden struct{ rewrite.Mapper }

func (h hidden) AppendPublicOf(dst, upstream []byte, kind, ext string) ([]byte, error) {
	if m, ok := h.Mapper.(rewrite.KindMapper); ok {
		return m.AppendPublicOf(dst, upstream, kind, ext)
	}
	return h.AppendPublic(dst, upstream)
}

func rewritten(t testing.TB, rw *rewrite.Rewriter, playlist, base string) string {
	t.Helper()
	out, err := rw.Append(context.Background(), nil, []byte(playlist), base)
	require.NoError(t, err)
	return string(out)
}

// Each line of in is a playlist line by itself; out is what becomes of it.
func TestAppendFindsEveryURI(t *testing.T) {
	const at = "https://cdn.example/live/ch1/"
	for name, c := range map[string]struct{ in, out string }{
		"segment":              {"#EXTINF:4,\nseg1.ts", "#EXTINF:4,\n[" + at + "seg1.ts]"},
		"orphan":               {"seg1.ts", "[" + at + "seg1.ts]"},
		"variant":              {"#EXT-X-STREAM-INF:BANDWIDTH=1\n\n# c\n#EXT-X-X\nv.m3u8", "#EXT-X-STREAM-INF:BANDWIDTH=1\n\n# c\n#EXT-X-X\n[" + at + "v.m3u8]"},
		"media":                {`#EXT-X-MEDIA:TYPE=AUDIO,NAME="a,URI=x",URI="a.m3u8",DEFAULT=YES`, `#EXT-X-MEDIA:TYPE=AUDIO,NAME="a,URI=x",URI="[` + at + `a.m3u8]",DEFAULT=YES`},
		"media without":        {`#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,NAME="a"`, `#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,NAME="a"`},
		"i-frame":              {`#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="i.m3u8"`, `#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="[` + at + `i.m3u8]"`},
		"image":                {`#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=1,URI="i.m3u8"`, `#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=1,URI="[` + at + `i.m3u8]"`},
		"session data":         {`#EXT-X-SESSION-DATA:DATA-ID="x",URI="d.json"`, `#EXT-X-SESSION-DATA:DATA-ID="x",URI="[` + at + `d.json]"`},
		"session data value":   {`#EXT-X-SESSION-DATA:DATA-ID="x",VALUE="http://h/x"`, `#EXT-X-SESSION-DATA:DATA-ID="x",VALUE="http://h/x"`},
		"session key":          {`#EXT-X-SESSION-KEY:METHOD=AES-128,URI="k"`, `#EXT-X-SESSION-KEY:METHOD=AES-128,URI="[` + at + `k]"`},
		"steering":             {`#EXT-X-CONTENT-STEERING:SERVER-URI="s?x=1",PATHWAY-ID="URI=\"`, `#EXT-X-CONTENT-STEERING:SERVER-URI="[` + at + `s?x=1]",PATHWAY-ID="URI=\"`},
		"steering inline":      {`#EXT-X-CONTENT-STEERING:SERVER-URI="data:application/json;base64,e30="`, `#EXT-X-CONTENT-STEERING:SERVER-URI="data:application/json;base64,e30="`},
		"key":                  {`#EXT-X-KEY:METHOD=AES-128,URI="/k.key",IV=0x1`, `#EXT-X-KEY:METHOD=AES-128,URI="[https://cdn.example/k.key]",IV=0x1`},
		"key identity":         {`#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k",KEYFORMAT="identity"`, `#EXT-X-KEY:METHOD=SAMPLE-AES,URI="[` + at + `k]",KEYFORMAT="identity"`},
		"key none":             {`#EXT-X-KEY:METHOD=NONE`, `#EXT-X-KEY:METHOD=NONE`},
		"key foreign":          {`#EXT-X-KEY:METHOD=SAMPLE-AES,URI="https://h/k",KEYFORMAT="com.microsoft.playready"`, `#EXT-X-KEY:METHOD=SAMPLE-AES,URI="https://h/k",KEYFORMAT="com.microsoft.playready"`},
		"key fairplay":         {`#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://k"`, `#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://k"`},
		"key data":             {`#EXT-X-KEY:METHOD=SAMPLE-AES,URI="data:text/plain;base64,AA=="`, `#EXT-X-KEY:METHOD=SAMPLE-AES,URI="data:text/plain;base64,AA=="`},
		"map":                  {`#EXT-X-MAP:URI="init.mp4",BYTERANGE="10@0"`, `#EXT-X-MAP:URI="[` + at + `init.mp4]",BYTERANGE="10@0"`},
		"part":                 {`#EXT-X-PART:DURATION=0.33334,URI="p.m4s",INDEPENDENT=YES,GAP=YES`, `#EXT-X-PART:DURATION=0.33334,URI="[` + at + `p.m4s]",INDEPENDENT=YES,GAP=YES`},
		"part inf":             {`#EXT-X-PART-INF:PART-TARGET=0.33334,URI="x"`, `#EXT-X-PART-INF:PART-TARGET=0.33334,URI="x"`},
		"hint":                 {`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p.m4s",BYTERANGE-START=0`, `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="[` + at + `p.m4s]",BYTERANGE-START=0`},
		"report":               {`#EXT-X-RENDITION-REPORT:URI="../ch2/index.m3u8",LAST-MSN=1`, `#EXT-X-RENDITION-REPORT:URI="[https://cdn.example/live/ch2/index.m3u8]",LAST-MSN=1`},
		"interstitial":         {`#EXT-X-DATERANGE:ID="1",CLASS="com.apple.hls.interstitial",X-ASSET-URI="a.m3u8",X-AD-URL="http://h/"`, `#EXT-X-DATERANGE:ID="1",CLASS="com.apple.hls.interstitial",X-ASSET-URI="[` + at + `a.m3u8]",X-AD-URL="http://h/"`},
		"asset list":           {`#EXT-X-DATERANGE:X-ASSET-LIST="l.json",ID="1",CLASS="com.apple.hls.interstitial"`, `#EXT-X-DATERANGE:X-ASSET-LIST="[` + at + `l.json]",ID="1",CLASS="com.apple.hls.interstitial"`},
		"asset list inline":    {`#EXT-X-DATERANGE:X-ASSET-LIST="data:application/json,x",ID="1",CLASS="com.apple.hls.interstitial"`, `#EXT-X-DATERANGE:X-ASSET-LIST="data:application/json,x",ID="1",CLASS="com.apple.hls.interstitial"`},
		"preload":              {`#EXT-X-DATERANGE:ID="1",CLASS="com.apple.hls.preload",X-URI="a.m3u8",X-ASSET-URI="a"`, `#EXT-X-DATERANGE:ID="1",CLASS="com.apple.hls.preload",X-URI="[` + at + `a.m3u8]",X-ASSET-URI="a"`},
		"other class":          {`#EXT-X-DATERANGE:ID="1",CLASS="com.other",X-ASSET-URI="a",X-URI="b",X-ASSET-LIST="c"`, `#EXT-X-DATERANGE:ID="1",CLASS="com.other",X-ASSET-URI="a",X-URI="b",X-ASSET-LIST="c"`},
		"class elsewhere":      {"#EXT-X-DATERANGE:ID=\"1\",X-ASSET-URI=\"a\"\n#EXT-X-DATERANGE:ID=\"2\",X-ASSET-URI=\"b\"\n#EXT-X-DATERANGE:ID=\"1\",CLASS=\"com.apple.hls.interstitial\"", "#EXT-X-DATERANGE:ID=\"1\",X-ASSET-URI=\"[" + at + "a]\"\n#EXT-X-DATERANGE:ID=\"2\",X-ASSET-URI=\"b\"\n#EXT-X-DATERANGE:ID=\"1\",CLASS=\"com.apple.hls.interstitial\""},
		"prefetch":             {"#EXT-X-PREFETCH:seg2.ts", "#EXT-X-PREFETCH:[" + at + "seg2.ts]"},
		"twitch":               {"#EXT-X-TWITCH-PREFETCH:https://h/x.ts ", "#EXT-X-TWITCH-PREFETCH:[https://h/x.ts] "},
		"several":              {`#EXT-X-MAP:URI="a",URI="b"`, `#EXT-X-MAP:URI="[` + at + `a]",URI="[` + at + `b]"`},
		"unquoted":             {`#EXT-X-MAP:URI=a.mp4,BYTERANGE="1@0"`, `#EXT-X-MAP:URI=[` + at + `a.mp4],BYTERANGE="1@0"`},
		"blanks":               {"#EXT-X-MAP: BYTERANGE=\"1@0\" , URI=\"a.mp4\" ,X=\"URI=\"", "#EXT-X-MAP: BYTERANGE=\"1@0\" , URI=\"[" + at + "a.mp4]\" ,X=\"URI=\""},
		"blank behind a name":  {"#EXT-X-MAP:URI =\"a.mp4\"\n#EXT-X-MEDIA:NAME=\"URI =x\",URI\t=\"a\"", "#EXT-X-MAP:URI =\"[" + at + "a.mp4]\"\n#EXT-X-MEDIA:NAME=\"URI =x\",URI\t=\"[" + at + "a]\""},
		"no opening quote":     {`#EXT-X-KEY:METHOD=AES-128,IV=0011",URI="k",X=1", URI="l"`, `#EXT-X-KEY:METHOD=AES-128,IV=0011",URI="[` + at + `k]",X=1", URI="[` + at + `l]"`},
		"in a long list":       {"#EXT-X-MEDIA:TYPE=AUDIO\",NAME=\"a,URI=x\",URI=\"a.m3u8\"\n#EXT-X-MEDIA:NAME=a\", URI=\"b,c.m3u8\"", "#EXT-X-MEDIA:TYPE=AUDIO\",NAME=\"a,URI=x\",URI=\"[" + at + "a.m3u8]\"\n#EXT-X-MEDIA:NAME=a\", URI=\"[" + at + "b,c.m3u8]\""},
		"text behind a quote":  {`#EXT-X-MAP:X="a"b"c,URI="d"e,URI="f"`, `#EXT-X-MAP:X="a"b"c,URI="[` + at + `d]"e,URI="[` + at + `f]"`},
		"escaped quotes":       {`#EXT-X-MEDIA:NAME="a \"b\"",URI="c.m3u8"`, `#EXT-X-MEDIA:NAME="a \"b\"",URI="[` + at + `c.m3u8]"`},
		"no closing quote":     {`#EXT-X-MAP:URI="a.mp4`, `#EXT-X-MAP:URI="[` + at + `a.mp4]`},
		"blank at the end":     {"#EXT-X-MEDIA:TYPE=AUDIO,URI=\"a.m3u8 ", "#EXT-X-MEDIA:TYPE=AUDIO,URI=\"[" + at + "a.m3u8] "},
		"empty":                {`#EXT-X-KEY:METHOD=AES-128,URI=""`, `#EXT-X-KEY:METHOD=AES-128,URI=""`},
		"empty bare":           {`#EXT-X-KEY:METHOD=AES-128,URI=,IV=0x1`, `#EXT-X-KEY:METHOD=AES-128,URI=,IV=0x1`},
		"other attributes":     {`#EXT-X-MAP:X-FOO-URI="a",uri="b",URI2="c",=d,URI`, `#EXT-X-MAP:X-FOO-URI="a",uri="b",URI2="c",=d,URI`},
		"other tags":           {"#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-MAPS:URI=\"a\"\n#EXT-X-map:URI=\"a\"\n#EXT-X-MAP\n#EXTINF:1,seg.ts\n#EXTVLCOPT:http://h/", "#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-MAPS:URI=\"a\"\n#EXT-X-map:URI=\"a\"\n#EXT-X-MAP\n#EXTINF:1,seg.ts\n#EXTVLCOPT:http://h/"},
		"stream-inf uri":       {`#EXT-X-STREAM-INF:BANDWIDTH=1,URI="x"`, `#EXT-X-STREAM-INF:BANDWIDTH=1,URI="x"`},
		"comment":              {"#http://h/x\n# EXT-X-MAP:URI=\"a\"\n##EXT-X-MAP:URI=\"a\"", "#http://h/x\n# EXT-X-MAP:URI=\"a\"\n##EXT-X-MAP:URI=\"a\""},
		"leading blanks":       {"\t seg.ts\t ", "\t [" + at + "seg.ts]\t "},
		"blank before tag":     {" #EXT-X-MAP:URI=\"a\"", " #EXT-X-MAP:URI=\"[" + at + "a]\""},
		"other separators":     {"a\u2028b\u0085c\vd\fe.ts", "[" + at + "a\u2028b\u0085c\vd\fe.ts]"},
		"non-UTF-8":            {"\xff\xfe.ts", "[" + at + "\xff\xfe.ts]"},
		"odd":                  {"a b%zz%.ts", "[" + at + "a b%zz%.ts]"},
		"other scheme":         {"rtmp://h/x\nurn:x:y\nblob:x", "rtmp://h/x\nurn:x:y\nblob:x"},
		"scheme in upper case": {"HTTP://H/x", "[HTTP://H/x]"},
		"fragment":             {"a.mp4#t=1", "[" + at + "a.mp4]#t=1"},
		"no host":              {"http:x\nhttp:///x\nhttps://?x", "[http://x]\n[http://x]\nhttps://?x"},
		"x-tvg-url":            {"#EXTM3U x-tvg-url=\"http://h/\"", "#EXTM3U x-tvg-url=\"http://h/\""},
	} {
		t.Run(name, func(t *testing.T) {
			rw := &rewrite.Rewriter{Map: marked{}}
			for _, eol := range []string{"\n", "\r\n", "\r", "\n\r"} {
				in, out := strings.ReplaceAll(c.in, "\n", eol), strings.ReplaceAll(c.out, "\n", eol)
				require.Equal(t, out, rewritten(t, rw, in, base))
				require.Equal(t, "\xef\xbb\xbf#EXTM3U"+eol+out+eol, rewritten(t, rw, "\xef\xbb\xbf#EXTM3U"+eol+in+eol, base))
			}
			require.Equal(t, c.in, rewritten(t, &rewrite.Rewriter{Map: identity{}}, c.in, ""))
		})
	}
}

// The examples of RFC 3986 section 5.4, and what section 4 of it and the HLS draft leave to trip over.
func TestAppendResolves(t *testing.T) {
	const rfc = "http://a/b/c/d;p?q"
	for _, c := range []struct{ base, ref, want string }{
		{rfc, "g:h", "g:h"}, {rfc, "g", "http://a/b/c/g"}, {rfc, "./g", "http://a/b/c/g"}, {rfc, "g/", "http://a/b/c/g/"},
		{rfc, "/g", "http://a/g"}, {rfc, "//g", "http://g"}, {rfc, "?y", "http://a/b/c/d;p?y"}, {rfc, "g?y", "http://a/b/c/g?y"},
		{rfc, "g#s", "http://a/b/c/g#s"}, {rfc, "g?y#s", "http://a/b/c/g?y#s"}, {rfc, ";x", "http://a/b/c/;x"},
		{rfc, "g;x", "http://a/b/c/g;x"}, {rfc, ".", "http://a/b/c/"}, {rfc, "./", "http://a/b/c/"}, {rfc, "..", "http://a/b/"},
		{rfc, "../", "http://a/b/"}, {rfc, "../g", "http://a/b/g"}, {rfc, "../..", "http://a/"}, {rfc, "../../", "http://a/"},
		{rfc, "../../g", "http://a/g"}, {rfc, "../../../g", "http://a/g"}, {rfc, "../../../../g", "http://a/g"},
		{rfc, "/./g", "http://a/g"}, {rfc, "/../g", "http://a/g"}, {rfc, "g.", "http://a/b/c/g."}, {rfc, ".g", "http://a/b/c/.g"},
		{rfc, "g..", "http://a/b/c/g.."}, {rfc, "..g", "http://a/b/c/..g"}, {rfc, "./../g", "http://a/b/g"},
		{rfc, "./g/.", "http://a/b/c/g/"}, {rfc, "g/./h", "http://a/b/c/g/h"}, {rfc, "g/../h", "http://a/b/c/h"},
		{rfc, "g;x=1/./y", "http://a/b/c/g;x=1/y"}, {rfc, "g;x=1/../y", "http://a/b/c/y"},
		{rfc, "g?y/./x", "http://a/b/c/g?y/./x"}, {rfc, "g?y/../x", "http://a/b/c/g?y/../x"}, {rfc, "g#s/../x", "http://a/b/c/g#s/../x"},
		{"http://a", "g", "http://a/g"}, {"http://a?x/y", "g", "http://a/g"}, {"http://a/b?c/d", "g", "http://a/g"},
		{"http://a/b/../c/x", "g", "http://a/c/g"}, {"http://a/b/./c/x", "../g", "http://a/b/g"}, {"http://a/b//c", "../g", "http://a/b/g"},
		{"http://a/b", "a:b.ts", "a:b.ts"}, {"http://a/b", "./a:b.ts", "http://a/a:b.ts"}, {"http://a/b", "1:b.ts", "http://a/1:b.ts"},
		{"http://a/b", "c/a:b.ts", "http://a/c/a:b.ts"}, {"http://a/b", "http://c/d/../e", "http://c/d/../e"},
		{"https://a/b#c/d", "g", "https://a/g"}, {"https://a/b/", "g", "https://a/b/g"}, {"https://a/b/c", "//d/e/../f", "https://d/f"},
		{"/x/y/z.m3u8", "g", "/x/y/g"}, {"/x/y/z.m3u8", "../../../g", "/g"}, {"/x/y/z.m3u8", "/g", "/g"}, {"/x/y/z.m3u8?q", "?r", "/x/y/z.m3u8?r"},
		{"z.m3u8", "g", "g"}, {"z.m3u8", "../g", "g"}, {"file:///a/b", "g", "g"}, {"//a/b/c", "../g", "//a/g"},
		{"", "../g", "../g"},
	} {
		t.Run(c.base+" "+c.ref, func(t *testing.T) {
			require.Equal(t, c.want, rewritten(t, &rewrite.Rewriter{}, c.ref, c.base))
			if refs := allRefs(t, c.ref, c.base); !strings.HasPrefix(c.base, "file:") && !strings.Contains(c.want, "/../") {
				require.Equal(t, c.want, refs[0].URL)
			}
		})
	}
}

// Playlists count up, which the Rewriter makes use of: any change of any byte must come out right all the same.
func TestAppendFollowsReferencesThatChangeLittle(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	const bytesOfInterest = "0123456789abcXYZ-_.~/?#%=&:{$é ,'\"\\"
	for _, start := range []string{
		"seg1.ts", "media/segment_000123.m4s?token=8f14e45f-000123", "../../x/12345678/1.ts?_HLS_x=1&b=2", "/a/b/c%20d/e+f.ts", "https://cdn.example/x/y1.ts",
		"https://other.example/x/y1.ts", strings.Repeat("0123456/", 33) + "a.ts", strings.Repeat("n", 70) + ".ts", "a:b/c", "1:b/c", "x/.y/z",
	} {
		var b strings.Builder
		b.WriteString("#EXTM3U\n")
		ref := []byte(start)
		for i := range 400 {
			if i%40 == 0 {
				ref = []byte(start)
			}
			if ref[rnd.IntN(len(ref))] = bytesOfInterest[rnd.IntN(len(bytesOfInterest))]; rnd.IntN(3) > 0 {
				ref[rnd.IntN(len(ref))] = byte('0' + rnd.IntN(10))
			}
			b.Write(ref)
			if rnd.IntN(4) == 0 && !bytes.ContainsRune(ref, '"') {
				b.WriteString("\n#EXT-X-PART:DURATION=1,URI=\"" + string(ref) + "\"")
			}
			b.WriteByte('\n')
		}
		for name, m := range mappers(t) {
			for _, at := range []string{base, "https://origin.example/a/b/c.m3u8", "http://127.0.0.1:8080/x/y/z"} {
				short := rewritten(t, &rewrite.Rewriter{Map: m}, b.String(), at)
				long := rewritten(t, &rewrite.Rewriter{Map: hidden{m}}, b.String(), at)
				want, got := strings.Split(long, "\n"), strings.Split(short, "\n")
				require.Len(t, got, len(want))
				for i := range want {
					if want[i] != got[i] {
						require.Equal(t, want[i], got[i], name)
					}
				}
			}
		}
	}
}

func allRefs(t testing.TB, playlist, base string) (refs []rewrite.Ref) {
	t.Helper()
	for ref, err := range rewrite.Refs([]byte(playlist), base) {
		require.NoError(t, err)
		refs = append(refs, ref)
	}
	return refs
}

func TestAppendKeepsWhatItDoesNotMap(t *testing.T) {
	m, err := rewrite.Prefix("/p/", "https://cdn.example/live/")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		rw      rewrite.Rewriter
		in, out string
	}{
		"mapped":               {rewrite.Rewriter{Map: m}, "seg.ts", "/p/ch1/seg.ts"},
		"unmapped":             {rewrite.Rewriter{Map: m}, "https://other/./seg.ts", "https://other/./seg.ts"},
		"unmapped relative":    {rewrite.Rewriter{Map: m}, "/seg.ts", "https://cdn.example/seg.ts"},
		"skipped":              {rewrite.Rewriter{Map: m, Skip: func(r rewrite.Ref) bool { return r.URL == "https://cdn.example/live/ch1/seg.ts" }}, "seg.ts\na.ts", "https://cdn.example/live/ch1/seg.ts\n/p/ch1/a.ts"},
		"foreign keys":         {rewrite.Rewriter{Map: m, ForeignKeys: true}, `#EXT-X-KEY:URI="k",KEYFORMAT="x"`, `#EXT-X-KEY:URI="/p/ch1/k",KEYFORMAT="x"`},
		"public":               {rewrite.Rewriter{Map: m, Public: "https://me"}, "#EXT-X-DATERANGE:CLASS=\"com.apple.hls.interstitial\",X-ASSET-URI=\"a\"\nseg.ts", "#EXT-X-DATERANGE:CLASS=\"com.apple.hls.interstitial\",X-ASSET-URI=\"https://me/p/ch1/a\"\n/p/ch1/seg.ts"},
		"preload equals asset": {rewrite.Rewriter{Map: m, Public: "https://me"}, "#EXT-X-DATERANGE:CLASS=\"com.apple.hls.interstitial\",X-ASSET-LIST=\"a\"\n#EXT-X-DATERANGE:CLASS=\"com.apple.hls.preload\",X-URI=\"https://cdn.example/live/ch1/a\"", "#EXT-X-DATERANGE:CLASS=\"com.apple.hls.interstitial\",X-ASSET-LIST=\"https://me/p/ch1/a\"\n#EXT-X-DATERANGE:CLASS=\"com.apple.hls.preload\",X-URI=\"https://me/p/ch1/a\""},
		"quote in a line":      {rewrite.Rewriter{Map: hidden{identity{}}}, "/a\"b.ts", "https://cdn.example/a\"b.ts"},
		"text before":          {rewrite.Rewriter{Map: m}, "text\n# c\n#EXTM3U\nseg.ts", "text\n# c\n#EXTM3U\n/p/ch1/seg.ts"},
		"twice":                {rewrite.Rewriter{Map: m}, "#EXTM3\na\n#EXTM3U\nseg.ts", "#EXTM3\na\n#EXTM3U\n/p/ch1/seg.ts"},
		"no header":            {rewrite.Rewriter{Map: m}, "a\n#EXTM3", "/p/ch1/a\n#EXTM3"},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.out, rewritten(t, &c.rw, c.in, base)) })
	}
}

// A mapped URL must not end the attribute that it stands in, nor become a variable reference.
func TestAppendEscapesWhatWouldBreakOut(t *testing.T) {
	evil := mapperFunc(func(dst, u []byte) ([]byte, error) { return append(dst, "#,\"a b\r\n{$x}{$ "...), nil })
	rw := &rewrite.Rewriter{Map: evil}
	require.Equal(t, "%23,\"a b%0D%0A%7B$x}%7B$%20", rewritten(t, rw, "seg.ts", base))
	require.Equal(t, `#EXT-X-MAP:URI="#,%22a b%0D%0A%7B$x}%7B$ "`, rewritten(t, rw, `#EXT-X-MAP:URI="a"`, base))
	require.Equal(t, `#EXT-X-MAP:URI=#%2C%22a%20b%0D%0A%7B$x}%7B$%20,X=1`, rewritten(t, rw, `#EXT-X-MAP:URI=a,X=1`, base))
}

type mapperFunc func(dst, upstream []byte) ([]byte, error)

func (f mapperFunc) AppendPublic(dst, upstream []byte) ([]byte, error) { return f(dst, upstream) }
func (f mapperFunc) Upstream(*url.URL) (string, error)                 { return "", nil }

func TestAppendSigns(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(context.Background(), key{}, "viewer")
	sign := func(ctx context.Context, public []byte) ([]byte, error) {
		separator := "?"
		if bytes.ContainsRune(public, '?') {
			separator = "&"
		}
		return append(public, separator+"token="+ctx.Value(key{}).(string)...), nil
	}
	m, err := rewrite.Prefix("/p/", "https://cdn.example/live/")
	require.NoError(t, err)
	const in = "#EXTM3U\nseg.ts\nseg.ts?a=b#frag\nhttps://other/x\n/x\n#EXT-X-KEY:METHOD=AES-128,URI=\"skd://x\"\n"
	rw := &rewrite.Rewriter{Map: m, Sign: rewrite.SignFunc(sign)}
	const out = "#EXTM3U\n/p/ch1/seg.ts?token=viewer\n/p/ch1/seg.ts?a=b&token=viewer#frag\nhttps://other/x\nhttps://cdn.example/x\n" +
		"#EXT-X-KEY:METHOD=AES-128,URI=\"skd://x\"\n"
	for _, m := range []rewrite.Mapper{m, hidden{m}} {
		rw.Map = m
		got, err := rw.Append(ctx, []byte("before "), []byte(in), base)
		require.NoError(t, err)
		require.Equal(t, "before "+out, string(got))
	}

	// A hook may do more than to append.
	rw = &rewrite.Rewriter{Sign: rewrite.SignFunc(func(_ context.Context, u []byte) ([]byte, error) {
		u = append(u, "\"?s"...)
		copy(u, "/X")
		return u, nil
	})}
	for _, m := range []rewrite.Mapper{rewrite.Query("/q", "u"), hidden{rewrite.Query("/q", "u")}} {
		rw.Map = m
		require.Equal(t, "/X/a1.ts?u=https%3A%2F%2Fh%2Fa1.ts%22?s\n/X/a2.ts?u=https%3A%2F%2Fh%2Fa2.ts%22?s", rewritten(t, rw, "a1.ts\na2.ts", "https://h/x"))
	}
	rw.Sign = rewrite.SignFunc(sign)

	rw.Map = nil // then what is on the playlist's own host is public
	got, err := rw.Append(ctx, nil, []byte("a\n//cdn.example:1/a\nhttps://other/x"), base)
	require.NoError(t, err)
	require.Equal(t, "https://cdn.example/live/ch1/a?token=viewer\nhttps://cdn.example:1/a\nhttps://other/x", string(got))
	got, err = rw.Append(ctx, nil, []byte("a\n//other/a\nhttps://other/x"), "/live/x.m3u8")
	require.NoError(t, err)
	require.Equal(t, "/live/a?token=viewer\n//other/a\nhttps://other/x", string(got))
}

func TestAppendFailsWithItsHooks(t *testing.T) {
	refused := errors.New("refused")
	dst := []byte("before")
	for name, rw := range map[string]*rewrite.Rewriter{
		"sign":                  {Sign: rewrite.SignFunc(func(context.Context, []byte) ([]byte, error) { return nil, refused })},
		"map":                   {Map: mapperFunc(func(dst, u []byte) ([]byte, error) { return nil, refused })},
		"sign on the short way": {Map: rewrite.Query("/p", "u"), Sign: rewrite.SignFunc(func(context.Context, []byte) ([]byte, error) { return nil, refused })},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := rw.Append(context.Background(), dst, []byte("#EXTM3U\na.ts"), base)
			require.ErrorIs(t, err, refused)
			require.Equal(t, "before", string(got))
		})
	}
}

func TestRefs(t *testing.T) {
	const playlist = "#EXTM3U\n#EXT-X-DEFINE:NAME=\"p\",VALUE=\"/v\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{$p}/x.m3u8\n" +
		"#EXT-X-KEY:METHOD=AES-128,URI=\"skd://k\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"\"\n#EXT-X-MAP:URI=\"i\"\n" +
		"#EXT-X-PRELOAD-HINT:TYPE=MAP,URI=\"m\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"p\"\n{$no}.ts\n" +
		"#EXT-X-DATERANGE:CLASS=\"com.apple.hls.preload\",X-URI=\"l.json\"\n#EXT-X-PREFETCH:s\n#EXT-X-SESSION-DATA:URI=\"d\"\nseg.ts#f\n"
	var got []rewrite.Ref
	var errs []error
	for ref, err := range rewrite.Refs([]byte(playlist), "http://h/a/b") {
		got = append(got, ref)
		if err != nil {
			errs = append(errs, err)
		}
	}
	require.Equal(t, []rewrite.Ref{
		{Tag: "EXT-X-STREAM-INF", Kind: rewrite.Playlist, URL: "http://h/v/x.m3u8"},
		{Tag: "EXT-X-KEY", Attr: "URI", Kind: rewrite.Key, URL: "skd://k"},
		{Tag: "EXT-X-MAP", Attr: "URI", Kind: rewrite.Init, URL: "http://h/a/i"},
		{Tag: "EXT-X-PRELOAD-HINT", Attr: "URI", Kind: rewrite.Init, URL: "http://h/a/m"},
		{Tag: "EXT-X-PRELOAD-HINT", Attr: "URI", Kind: rewrite.Part, URL: "http://h/a/p"},
		{Tag: "EXTINF", Kind: rewrite.Segment, URL: "{$no}.ts"},
		{Tag: "EXT-X-DATERANGE", Attr: "X-URI", Kind: rewrite.JSON, URL: "http://h/a/l.json"},
		{Tag: "EXT-X-PREFETCH", Kind: rewrite.Segment, URL: "http://h/a/s"},
		{Tag: "EXT-X-SESSION-DATA", Attr: "URI", Kind: rewrite.Data, URL: "http://h/a/d"},
		{Tag: "EXTINF", Kind: rewrite.Segment, URL: "http://h/a/seg.ts#f"},
	}, got)
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], rewrite.ErrUndefined)

	n := 0
	for range rewrite.Refs([]byte("a\nb\nc"), "") {
		if n++; n == 2 {
			break
		}
	}
	require.Equal(t, 2, n)
	require.Equal(t, "Key", rewrite.Key.String())
	require.Equal(t, "Kind(99)", rewrite.Kind(99).String())
}

func status(err error) int {
	var s interface{ HTTPStatus() int }
	if !errors.As(err, &s) {
		return http.StatusTeapot
	}
	return s.HTTPStatus()
}
