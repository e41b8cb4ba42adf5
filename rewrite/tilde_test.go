package rewrite_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// Some players write "~" as "%7E" before they ask: where there is none, a signature of the exact URL survives them.
func TestQueryLeavesNoTilde(t *testing.T) {
	m := rewrite.Query("/p", "u")
	for _, upstream := range []string{"https://h/~user/a~1.ts?exp=1~acl=/*~hmac=0f", "https://h/a.ts?x=~", "http://~h/~"} {
		public, err := m.AppendPublic(nil, []byte(upstream))
		require.NoError(t, err)
		require.NotContains(t, string(public), "~")
		asked, err := url.Parse(string(public))
		require.NoError(t, err)
		got, err := m.Upstream(asked)
		require.NoError(t, err)
		require.Equal(t, upstream, got)
		require.Equal(t, string(public)+"\n", strings.Replace(rewritten(t, &rewrite.Rewriter{Map: m}, upstream+"\n", base), "index.ts", "index", 1))
	}
}
