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

	h.dropped(now, true)
	probe, _ = h.begin(now, false, false, "s")
	require.True(t, probe, "the first came to nothing")
	h.ended(now, true, true, "s")
	probe, ok = h.begin(now, false, false, "s")
	require.True(t, ok && !probe)
}

// A viewer may watch the answer to a probe for hours. Its end says nothing of a circuit that has opened again since.
func TestAProbeOfAnEarlierTimeIsNoProbe(t *testing.T) {
	for name, end := range map[string]func(h *health, begun, now time.Time){
		"it is closed": func(h *health, begun, _ time.Time) { h.ended(begun, true, false, "s") },
		"it is left":   func(h *health, begun, _ time.Time) { h.dropped(begun, true) },
		"it breaks": func(h *health, begun, now time.Time) {
			h.failed(failure{now: now, begun: begun, probe: true}, 1, time.Second)
		},
		"its header comes": func(h *health, begun, now time.Time) {
			h.answered(now, now.Sub(begun), true, false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var h health
			now := time.Now()
			h.failed(failure{now: now}, 1, time.Second)
			now = now.Add(2 * time.Second)
			first := now
			probe, _ := h.begin(first, false, false, "s")
			require.True(t, probe)
			h.answered(now, 0, true, false)
			now = now.Add(probeBody)
			require.False(t, h.cooling(now, "s"), "the body of the probe flows")
			h.failed(failure{now: now, begun: now}, 1, time.Second)
			require.True(t, h.cooling(now, "s"))

			now = now.Add(time.Minute)
			probe, _ = h.begin(now, false, false, "s")
			require.True(t, probe)
			second := now
			now = now.Add(time.Second)
			end(&h, first, now)
			now = now.Add(probeBody)
			require.True(t, h.cooling(now, "s"), "the second probe has not answered")
			probe, _ = h.begin(now, true, false, "s")
			require.False(t, probe)
			h.ended(second, true, true, "s")
			require.False(t, h.cooling(now, "s"))
		})
	}
}

// A stream that was once a probe may break hours after its origin has proved to work.
func TestTheEndOfALongProbeIsAnOrdinaryFailure(t *testing.T) {
	for name, asked := range map[string]bool{"others ask meanwhile": true, "nobody else asks": false} {
		t.Run(name, func(t *testing.T) {
			var h health
			now := time.Now()
			h.failed(failure{now: now}, 1, time.Second)
			now = now.Add(2 * time.Second)
			begun := now
			probe, _ := h.begin(begun, false, false, "s")
			require.True(t, probe)
			h.answered(now, 0, true, false)
			now = now.Add(probeBody)
			if asked {
				_, ok := h.begin(now, false, false, "s")
				require.True(t, ok)
				h.ended(now, false, true, "s")
			}
			now = now.Add(time.Hour)
			h.failed(failure{now: now, begun: begun, probe: true, stream: "s"}, 3, time.Second)
			require.False(t, h.cooling(now, "s"))
		})
	}
}
