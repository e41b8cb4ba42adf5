package hls_test

import (
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/stretchr/testify/require"
)

func TestRefs(t *testing.T) {
	const list = "\ufeff#EXTM3U\r\n#EXT-X-KEY:METHOD=AES-128,URI=\"key\"\r\n#EXT-X-MAP:BYTERANGE=\"1@2\",URI=\"init.mp4\"\r\r\n" +
		"#EXTINF:4,a,URI=\"x\"\n  1.ts?a=b,c \n#EXT-X-PART:DURATION=1,URI=\"2,0.ts\",INDEPENDENT=YES\n#EXT-X-PART:URI=\"2\n" +
		"#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"2.1.ts\"\n{$base}/3.ts\n#EXT-X-MAP:URI=bare.mp4\n#EXT-X-PART:NONE\n#EXT-X-PART:\nlast.ts"
	var refs, hints []string
	for ref, hint := range hls.Refs([]byte(list)) {
		refs = append(refs, ref)
		if hint {
			hints = append(hints, ref)
		}
	}
	require.Equal(t, []string{"init.mp4", "1.ts?a=b,c", "2,0.ts", "2.1.ts", "bare.mp4", "last.ts"}, refs)
	require.Equal(t, []string{"2.1.ts"}, hints)
	for range hls.Refs([]byte(list)) {
		break
	}
}

// Rewriters and players read such lists too: what is fetched ahead must be what they will ask for.
func TestAttributesWithBlanks(t *testing.T) {
	for text, want := range map[string]string{
		`TYPE=PART,URI="a,b.ts"`:        "a,b.ts",
		`TYPE=PART , URI = "a.ts" ,X=1`: "a.ts",
		`TYPE=PART,URI= "a,b.ts"`:       "a,b.ts",
		`YES,URI="a.ts"`:                "a.ts",
		`X="1,URI=b.ts",URI=a.ts`:       "a.ts",
		`X=1"2,URI="a.ts"`:              "a.ts",
		`X="1,URI=a.ts`:                 "",
		`XURI="a.ts"`:                   "",
	} {
		var got string
		for ref := range hls.Refs([]byte("#EXTM3U\n#EXT-X-PRELOAD-HINT:" + text)) {
			got = ref
		}
		require.Equal(t, want, got, text)
	}
	info, err := hls.Scan(strings.NewReader("#EXTM3U\n#EXT-X-SKIP:RECENTLY-REMOVED-DATERANGES=\"a,SKIPPED-SEGMENTS=7\",SKIPPED-SEGMENTS=3\n"))
	require.NoError(t, err)
	require.EqualValues(t, 3, info.Segments)
}

func TestPieces(t *testing.T) {
	const list = "#EXTM3U\n#EXT-X-MAP:URI=\"all\",BYTERANGE=\"9\"\n#EXT-X-BYTERANGE:10@9\n#EXTINF:4,\nall\n#EXTINF:4,\n#EXT-X-BYTERANGE:5 \nall\n" +
		"#EXT-X-PART:BYTERANGE=\"3@0\",URI=\"p\"\n#EXT-X-PART:BYTERANGE=\"4\",URI=\"p\",GAP=YES\n#EXT-X-BYTERANGE:7\n#EXT-X-GAP\n{$x}\n" +
		"#EXT-X-BYTERANGE:7\nall\nplain\n#EXT-X-BYTERANGE:x@y\nall\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"p\",BYTERANGE-START=7\n"
	var all []hls.Piece
	for p := range hls.Pieces([]byte(list)) {
		all = append(all, p)
	}
	require.Equal(t, []hls.Piece{
		{Ref: "all", Kind: hls.OfSection, Length: 9},
		{Ref: "all", From: 9, Length: 10},
		{Ref: "all", From: 19, Length: 5},
		{Ref: "p", Kind: hls.OfPart, Length: 3},
		{Ref: "p", Kind: hls.OfPart, From: 3, Length: 4, Gap: true},
		{Ref: "{$x}", From: -1, Length: 7, Gap: true},
		{Ref: "all", From: -1, Length: 7},
		{Ref: "plain"},
		{Ref: "all"},
		{Ref: "p", Kind: hls.OfHint},
	}, all)
	for range hls.Pieces([]byte(list)) {
		break
	}
}

func FuzzRefs(f *testing.F) {
	f.Add([]byte("#EXTM3U\n#EXT-X-MAP:URI=\"a\"\nb"))
	f.Fuzz(func(t *testing.T, list []byte) {
		var refs, pieces []string
		for ref := range hls.Refs(list) {
			require.NotEmpty(t, ref)
			refs = append(refs, ref)
		}
		for p := range hls.Pieces(list) {
			require.True(t, p.Length > 0 && p.From >= -1 || p.Length == 0 && p.From == 0, "%+v", p)
			if !p.HasVariables() {
				pieces = append(pieces, p.Ref)
			}
		}
		require.Equal(t, refs, pieces)
	})
}

// Ranges that follow each other end where numbers do.
func TestPiecesDoNotOverflow(t *testing.T) {
	const line = "#EXT-X-BYTERANGE:4503599627370495"
	for p := range hls.Pieces([]byte(line + "@0\na\n" + strings.Repeat(line+"\na\n", 2100))) {
		require.GreaterOrEqual(t, p.From, int64(-1))
		require.GreaterOrEqual(t, p.From+p.Length, int64(-1))
	}
}
