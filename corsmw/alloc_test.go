//go:build !race

package corsmw_test

import (
	"net/http"
	"testing"

	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/stretchr/testify/require"
)

// Under the race detector a sync.Pool forgets at random.

// Only one answer in several allocates.
func TestActualRequestsHardlyAllocate(t *testing.T) {
	for name, m := range map[string]*corsmw.Middleware{"open": open(t), "echo": credentialed(t)} {
		h, r, w := m.Handler(answer(200)), request("GET"), &discard{header: http.Header{}}
		require.Zero(t, testing.AllocsPerRun(100, func() { w.reset(); h.ServeHTTP(w, r) }), name)
		w.header.Set("Vary", "Accept-Encoding")
		require.Zero(t, testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }), name)
	}
}
