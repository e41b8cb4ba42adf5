package e2e

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLowLatencyThroughTheChain lets the demo compare, on one page, hls.js through the whole chain with hls.js straight at the
// origin. Their distances to live, by EXT-X-PROGRAM-DATE-TIME, may differ by 0.3 s.
func TestLowLatencyThroughTheChain(t *testing.T) {
	requireTool(t, "chromium")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-run", "^TestLatencyThroughTheChain$", "-v", "./examples/demo")
	cmd.Dir = ".."
	cmd.Env = append(withoutProxy(), "HLSJS="+requireHLSJS(t))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestLatencyThroughTheChain", "%s", out)
	t.Logf("%s", out)
}
