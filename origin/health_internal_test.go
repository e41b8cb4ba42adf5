package origin

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// From outside, two requests at the same moment cannot be arranged.
func TestTheSecondRequestIsNoProbe(t *testing.T) {
	var h health
	now := time.Now()
	h.failed(failure{now: now}, 1, time.Second)
	_, ok := h.begin(now, false, false, "s")
	require.False(t, ok, "it cools down")
	_, ok = h.begin(now, true, false, "s")
	require.True(t, ok, "a last resort")

	now = now.Add(2 * time.Second)
	require.False(t, h.cooling(now, "s"))
	probe, ok := h.begin(now, false, false, "s")
	require.True(t, probe && ok)
	require.True(t, h.cooling(now, "s"))
	probe, ok = h.begin(now, false, false, "s")
	require.False(t, probe || ok)

	h.dropped(true)
	probe, _ = h.begin(now, false, false, "s")
	require.True(t, probe, "the first came to nothing")
	h.ended(now, true, true, "s")
	probe, ok = h.begin(now, false, false, "s")
	require.True(t, ok && !probe)
}
