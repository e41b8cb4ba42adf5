//go:build !race

package rewrite_test

import (
	"bytes"
	"io"
	"runtime"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// Under the race detector 50 MB take too long.

func TestLongListsTakeBoundedMemory(t *testing.T) {
	text := channels(1<<20, "\n")
	const times = 50
	repeated := make([]io.Reader, times)
	for i := range repeated {
		repeated[i] = bytes.NewReader(text)
	}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, most := heap(), int64(0)
	resp, _ := listResponse(io.MultiReader(repeated...), times*len(text))
	rw := &rewrite.Rewriter{Map: rewrite.Query("/p", "u"), Hints: true, Guides: true, MaxSize: 64 << 20}
	require.NoError(t, rw.ModifyResponse(resp))
	written := int64(0)
	for done := false; !done; {
		n, err := io.CopyN(io.Discard, resp.Body, 4<<20)
		written += n
		most = max(most, heap()-before)
		if done = err == io.EOF; !done {
			require.NoError(t, err)
		}
	}
	require.Greater(t, written, int64(times*len(text)))
	t.Logf("%d KiB for %d MiB", most>>10, written>>20)
	require.Less(t, most, int64(12<<20))
}
