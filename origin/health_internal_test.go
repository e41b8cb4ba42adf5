package origin

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// From outside, two requests at the same moment cannot be had for sure.
func TestTheSecondRequestIsNoProbe(t *testing.T) {
	var h health
	now := time.Now()
	h.failed(now, false, 0, 1, time.Second)
	_, ok := h.begin(now, false, false)
	require.False(t, ok, "it cools down")
	_, ok = h.begin(now, true, false)
	require.True(t, ok, "a last resort")

	now = now.Add(2 * time.Second)
	require.False(t, h.cooling(now))
	probe, ok := h.begin(now, false, false)
	require.True(t, probe && ok)
	require.True(t, h.cooling(now))
	probe, ok = h.begin(now, false, false)
	require.False(t, probe || ok)

	h.dropped(true)
	probe, _ = h.begin(now, false, false)
	require.True(t, probe, "the first came to nothing")
	h.ended(now, true, true)
	probe, ok = h.begin(now, false, false)
	require.True(t, ok && !probe)
}
