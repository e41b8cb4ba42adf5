//go:build !race

package rewrite_test

import (
	"context"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/playlists"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// Under the race detector a sync.Pool forgets at random.

func TestAppendLeavesNoGarbage(t *testing.T) {
	prefix, err := rewrite.Prefix("/live/", "https://cdn.example.com/live/")
	require.NoError(t, err)
	for _, shape := range playlists.All()[:4] {
		for name, m := range map[string]rewrite.Mapper{"query": rewrite.Query("/proxy", "url"), "prefix": prefix, "the long way": hidden{prefix}} {
			rw := &rewrite.Rewriter{Map: m, Sign: rewrite.SignFunc(func(_ context.Context, u []byte) ([]byte, error) { return append(u, "?t=1"...), nil })}
			dst := make([]byte, 0, 8*len(shape.Text))
			allocs := testing.AllocsPerRun(100, func() {
				_, err := rw.Append(context.Background(), dst, shape.Text, playlists.Base)
				require.NoError(t, err)
			})
			require.Less(t, allocs, 10.0, "%s %s: %d URIs", shape.Name, name, shape.URIs)
		}
	}
}
