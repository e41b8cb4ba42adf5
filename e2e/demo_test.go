package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDemoPlays(t *testing.T) {
	p := startExample(t, "demo")
	resp, err := http.Get(p.URL + "/")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	t.Run("ffmpeg", func(t *testing.T) {
		t.Parallel()
		ffmpegPlaysFor(t, p.URL+"/hls/live/master.m3u8", 10*time.Second)
	})
	t.Run("hls.js", func(t *testing.T) {
		t.Parallel()
		play(t, p.URL+"/hls/live/master.m3u8", false).shows(6)
	})
}
