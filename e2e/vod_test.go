package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVODPlaysEveryShapeBySignedLinks(t *testing.T) {
	p := startExample(t, "vod", "-dir", media(t), "-key", "SECRET")
	everyShape(t, func(s shape) string { return p.link(t, "/vod/"+s.playlist+"?") })
	require.Equal(t, 401, play(t, p.URL+"/vod/ts/index.m3u8", false).fails().Code)

	film := p.link(t, "/vod/src.mp4?")
	ffmpegPlays(t, film)
	require.Equal(t, frames, packets(t, film))
	require.Contains(t, ffmpegFails(t, p.URL+"/vod/src.mp4"), "401")
	// The file has its moov at the end. A client that cannot seek would find it too late.
	ffmpegPlays(t, film, "-seekable", "0")
	ffmpegFails(t, newOrigin(t, media(t)).URL+"/src.mp4", "-seekable", "0")
}
