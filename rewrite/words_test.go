package rewrite_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// Every byte, wherever it stands in the eight that are looked at together, is escaped as net/url does it. Only "~" is too.
func TestQueryEscapesEachByteInEachPlace(t *testing.T) {
	m := rewrite.Query("/p", "u")
	for c := range 256 {
		for at := range 17 {
			for _, filler := range []string{"A", "z", "0", "-", "_", ".", "/", "\xff", "\x00"} {
				u := "http://h/x?" + strings.Repeat(filler, at) + string([]byte{byte(c)}) + strings.Repeat(filler, 16-at)
				public, err := m.AppendPublic(nil, []byte(u))
				require.NoError(t, err)
				require.Equal(t, "/p/x?u="+strings.ReplaceAll(url.QueryEscape(u), "~", "%7E"), string(public))
			}
		}
	}
}

// CRs are looked for in several lines at once. Wherever one stands, it ends a line, and takes an LF with it.
func TestLinesEndAtEachCR(t *testing.T) {
	for _, n := range []int{1, 10, 200, 509, 510, 511, 512, 513, 1024, 3000} {
		long := strings.Repeat("a", n)
		for _, lines := range [][]string{
			{long, "\n", "b", "\r", "c", "\n"},
			{long, "\r\n", long, "\n", long, "\r", long, "\r\n"},
			{"#" + long, "\n", "b", "\r\n", "c", "\r", "\r", "#" + long, "\r", "d", "\n", "e", ""},
			{"a1", "\n", "a2", "\n", "a3", "\n", long, "\r", "a4", "\n", "a5", "\r", "a6", "\n", long, "\r\n"},
		} {
			var want strings.Builder
			for _, text := range lines {
				if text = strings.Trim(text, "\r\n"); text != "" && text[0] != '#' {
					want.WriteString("[" + text + "]\n")
				}
			}
			var got strings.Builder
			for ref, err := range rewrite.Refs([]byte(strings.Join(lines, "")), "") {
				require.NoError(t, err)
				got.WriteString("[" + ref.URL + "]\n")
			}
			require.Equal(t, want.String(), got.String())
			text := strings.Join(lines, "")
			require.Equal(t, rewritten(t, &rewrite.Rewriter{Map: hidden{rewrite.Query("/p", "u")}}, text, base),
				rewritten(t, &rewrite.Rewriter{Map: rewrite.Query("/p", "u")}, text, base))
		}
	}
}
