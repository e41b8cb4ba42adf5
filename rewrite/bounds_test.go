package rewrite_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// Each of these would take minutes if anything were done for every byte of the playlist at every line of it.
func TestTimeGrowsWithThePlaylistOnly(t *testing.T) {
	const n = 50_000
	definitions, lookups, ranges := &strings.Builder{}, &strings.Builder{}, &strings.Builder{}
	for i := range 5_000 {
		fmt.Fprintf(definitions, "#EXT-X-DEFINE:NAME=\"v%d\",VALUE=\"x\"\n", i)
		fmt.Fprintf(lookups, "{$v%d}.ts\n", i)
		fmt.Fprintf(ranges, "#EXT-X-DATERANGE:ID=\"%d\",X-ASSET-URI=\"a\"\n", i)
	}
	for name, text := range map[string]string{
		"lone CR":            strings.Repeat("a\r", n),
		"CR and one LF":      strings.Repeat("a\r", n) + "\n",
		"empty lines":        strings.Repeat("\n", n),
		"one line":           strings.Repeat("a", n*10),
		"slashes":            strings.Repeat("/", n*10),
		"parents":            strings.Repeat("../", n),
		"down and up":        strings.Repeat("a/../", n),
		"attributes":         "#EXT-X-MEDIA:" + strings.Repeat("URI=\"a\",", n),
		"bare attributes":    "#EXT-X-MEDIA:" + strings.Repeat("URI=a,", n),
		"U":                  "#EXT-X-MEDIA:" + strings.Repeat("U", n*10),
		"URI":                "#EXT-X-MEDIA:" + strings.Repeat("XURI=", n),
		"quotes":             "#EXT-X-MAP:" + strings.Repeat("\"", n*10),
		"commas":             "#EXT-X-MAP:" + strings.Repeat(",", n*10),
		"no end of a name":   "#EXT-X-" + strings.Repeat("M", n*10),
		"text before":        strings.Repeat("#EXTM3UX\n", n),
		"half references":    "#EXT-X-MAP:URI=\"" + strings.Repeat("{$a", n),
		"undefined":          "#EXT-X-MAP:URI=\"" + strings.Repeat("{$a}", n),
		"definitions":        definitions.String() + lookups.String(),
		"date ranges":        ranges.String(),
		"streams":            strings.Repeat("#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nx\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"b\"\n", 2000),
		"streams before one": strings.Repeat("#EXT-X-STREAM-INF:X\nx\n", n/4) + "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			for _, m := range []rewrite.Mapper{rewrite.Query("/p", "u"), marked{}} {
				rw := &rewrite.Rewriter{Map: m, Variant: most(1)}
				_, err := rw.Append(context.Background(), nil, []byte(text), base)
				require.NoError(t, err)
			}
		})
	}
}

func TestWhatIsInheritedCostsLittle(t *testing.T) {
	rw := &rewrite.Rewriter{Map: rewrite.Query("/p", "u"), Inherit: []string{"k"}}
	asked := "https://h/a.m3u8?" + strings.Repeat("k=&", 300_000)
	_, err := rw.Append(context.Background(), nil, []byte(strings.Repeat("a?k\n", 100_000)), asked)
	require.NoError(t, err)
	out, err := rw.Append(context.Background(), nil, []byte("#EXTM3U\na.ts\n"), asked)
	require.NoError(t, err)
	require.Equal(t, 32, strings.Count(string(out), "k%3D"))
}

func TestVariablesCannotFillTheMemory(t *testing.T) {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-DEFINE:NAME=\"v0\",VALUE=\"0123456789\"\n")
	for i := range 60 {
		fmt.Fprintf(&b, "#EXT-X-DEFINE:NAME=\"v%d\",VALUE=\"{$v%d}{$v%d}\"\n{$v%d}{$v%d}.ts\n", i+1, i, i, i, i)
	}
	out := rewritten(t, &rewrite.Rewriter{Map: marked{}}, b.String(), base)
	require.Less(t, len(out), 4<<20)
	require.True(t, strings.HasSuffix(out, "\n{$v59}{$v59}.ts\n"), "too long is as good as undefined")

	resp := response("https://h/"+strings.Repeat("d", 1000)+"/x.m3u8", "", "#EXTM3U\n"+strings.Repeat("a\n", 1000))
	rw := &rewrite.Rewriter{MaxSize: 10_000}
	require.Equal(t, 502, status(rw.ModifyResponse(resp)))
}
