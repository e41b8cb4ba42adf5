//go:build !race

package rangeserve_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// Under the race detector a sync.Pool forgets at random.
func TestAHandlerThatLeavesTheAnswerWholeAllocatesNothing(t *testing.T) {
	header := http.Header{"Content-Type": {"video/mp2t"}, "Accept-Ranges": {"bytes"}, "Content-Length": {"5"}}
	body := []byte("01234")
	h := rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	w := discard{header}
	r := httptest.NewRequest(http.MethodGet, "/seg1.ts", nil)
	require.Zero(t, testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }))
}
