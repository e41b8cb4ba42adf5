package rewrite_test

import (
	"context"
	"errors"
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
