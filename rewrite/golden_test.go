package rewrite_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Playlists with every tag that can carry a URI, and with much that only looks like one.
func TestGolden(t *testing.T) {
	prefix, err := rewrite.Prefix("/p/", "https://cdn.example/live/")
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.m3u8"))
	require.NoError(t, err)
	require.Len(t, files, 3)
	for _, file := range files {
		for name, m := range map[string]rewrite.Mapper{"query": rewrite.Query("/q", "u"), "prefix": prefix} {
			t.Run(filepath.Base(file)+" "+name, func(t *testing.T) {
				text, err := os.ReadFile(file)
				require.NoError(t, err)
				rw := &rewrite.Rewriter{Map: m, Public: "https://me.example"}
				got := rewritten(t, rw, string(text), "https://cdn.example/live/ch1/index.m3u8?k=w")
				golden := strings.TrimSuffix(file, ".m3u8") + "." + name + ".golden"
				if *update {
					require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
				}
				want, err := os.ReadFile(golden)
				require.NoError(t, err)
				require.Equal(t, string(want), got)
				require.Equal(t, string(text), rewritten(t, &rewrite.Rewriter{Map: identity{}}, string(text), ""))
			})
		}
	}
}
