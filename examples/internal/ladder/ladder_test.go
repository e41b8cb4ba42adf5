package ladder

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLadders(t *testing.T) {
	for size, want := range map[[2]int]string{
		{3840, 2160}:   "1920x1080 1280x720 640x360",
		{1920, 1080}:   "1920x1080 1280x720 640x360",
		{1080, 1920}:   "1080x1920 720x1280 360x640",
		{1776, 1000}:   "1776x1000 1278x720 638x360",
		{1422, 800}:    "1422x800 638x360",
		{1280, 720}:    "1280x720 640x360",
		{854, 480}:     "854x480 640x360",
		{480, 854}:     "480x854 360x640",
		{768, 432}:     "768x432",
		{640, 360}:     "640x360",
		{161, 91}:      "160x90",
		{177, 100}:     "176x100",
		{1, 1}:         "2x2",
		{20000, 1080}:  "4092x220",
		{100_000, 2}:   "100000x2",
		{2560, 1080}:   "2560x1080 1706x720 852x360",
		{0, 0}:         "",
		{4000, 16_000}: "1024x4096 720x2880 360x1440",
	} {
		got := ""
		for i, r := range ladder(size[0], size[1]) {
			if i > 0 {
				got += " "
			}
			got += fmt.Sprintf("%dx%d", r.width, r.height)
		}
		require.Equal(t, want, got, "%v", size)
	}
}

func FuzzLadder(f *testing.F) {
	f.Add(1920, 1080)
	f.Add(100, 8192*4608)
	f.Fuzz(func(t *testing.T, width, height int) {
		if width < 1 || height < 1 || width > maxPixels || height > maxPixels {
			return
		}
		rungs := ladder(width, height)
		require.NotEmpty(t, rungs)
		require.LessOrEqual(t, len(rungs), 3)
		names := map[string]bool{}
		for _, r := range rungs {
			require.LessOrEqual(t, r.width, max(2, width))
			require.LessOrEqual(t, r.height, max(2, height))
			require.Zero(t, r.width%2+r.height%2)
			require.Positive(t, min(r.width, r.height))
			require.False(t, names[r.name()])
			names[r.name()] = true
		}
	})
}
