package rewrite_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

func appends(text string) rewrite.SignFunc {
	return func(_ context.Context, u []byte) ([]byte, error) { return append(u, text...), nil }
}

// signsVariables is a Signer whose verifier covers the query.
type signsVariables struct{ rewrite.SignFunc }

func (signsVariables) SignsVariables() bool { return true }

func TestSignersInAChain(t *testing.T) {
	refused := errors.New("refused")
	refuses := rewrite.SignFunc(func(context.Context, []byte) ([]byte, error) { return nil, refused })
	for name, c := range map[string]struct {
		chain     rewrite.Signer
		want      string
		alike     bool
		variables bool
	}{
		"none":              {rewrite.SignChain(), "/a1.ts", true, false},
		"in their order":    {rewrite.SignChain(appends("?a"), appends("&b")), "/a1.ts?a&b", false, false},
		"all alike":         {rewrite.SignChain(signsAlike{appends("?a")}, signsAlike{appends("&b")}), "/a1.ts?a&b", true, false},
		"one not alike":     {rewrite.SignChain(signsAlike{appends("?a")}, appends("&b")), "/a1.ts?a&b", false, false},
		"a chain in one":    {rewrite.SignChain(rewrite.SignChain(signsAlike{appends("?a")}), signsAlike{appends("&b")}), "/a1.ts?a&b", true, false},
		"one for variables": {rewrite.SignChain(appends("?a"), signsVariables{appends("&b")}), "/a1.ts?a&b", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.chain.Sign(t.Context(), []byte("/a1.ts"))
			require.NoError(t, err)
			require.Equal(t, c.want, string(got))
			public := []byte("/a1.ts")
			require.Equal(t, c.alike, c.chain.(rewrite.AlikeSigner).SignAlike(t.Context(), public))
			require.Equal(t, "/a1.ts", string(public))
			require.Equal(t, c.variables, c.chain.(rewrite.VariableSigner).SignsVariables())
		})
	}
	_, err := rewrite.SignChain(appends("?a"), refuses).Sign(t.Context(), []byte("/a"))
	require.ErrorIs(t, err, refused)
	require.False(t, rewrite.SignChain(signsAlike{refuses}).(rewrite.AlikeSigner).SignAlike(t.Context(), []byte("/a")))
}

// A URI without quotes ends at a comma, even at one that a signer wrote.
func TestURIsWithoutQuotesStayOneValue(t *testing.T) {
	prefix, err := rewrite.Prefix("/live/", "https://cdn.example/live/")
	require.NoError(t, err)
	for name, m := range map[string]rewrite.Mapper{"query": rewrite.Query("/q", "u"), "prefix": prefix} {
		for _, token := range []string{"?t=1", "?t=a,b", "?t= \""} {
			for _, uri := range []string{"k", "k.key?a=b", "k\"y", "../k", "{k}"} {
				text := "#EXTM3U\n#EXT-X-KEY:URI=" + uri + ",METHOD=AES-128\n#EXTINF:1,\na.ts\n"
				sign := rewrite.SignFunc(appends(token))
				long := rewritten(t, &rewrite.Rewriter{Map: hidden{m}, Sign: sign}, text, base)
				require.Equal(t, long, rewritten(t, &rewrite.Rewriter{Map: m, Sign: sign}, text, base), name)
				require.Equal(t, 1, strings.Count(strings.Split(long, "\n")[1], ","), long)
			}
		}
	}
}
