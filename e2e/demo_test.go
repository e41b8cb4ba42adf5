package e2e

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDemoPlaysAmidACrowd(t *testing.T) {
	p := startExample(t, "demo", "-viewers", "100")
	t.Run("ffmpeg", func(t *testing.T) {
		t.Parallel()
		ffmpegPlaysFor(t, p.URL+"/hls/live/master.m3u8", 10*time.Second)
	})
	t.Run("ffmpeg TS", func(t *testing.T) {
		t.Parallel()
		ffmpegPlaysFor(t, p.URL+"/hls/live/ts/master.m3u8", 10*time.Second)
	})
	t.Run("hls.js", func(t *testing.T) {
		t.Parallel()
		play(t, p.URL+"/hls/live/master.m3u8", false).shows(6)
	})
}

// The page plays with only the files that the demo itself serves. Its counters show that it goes on fetching.
func TestDemoHasAPageThatPlays(t *testing.T) {
	for _, player := range []string{"native", "hls.js"} {
		t.Run(player, func(t *testing.T) {
			t.Parallel()
			p := startExample(t, "demo", "-hlsjs", requireHLSJS(t))
			visit(t, p.URL+"/?player="+player)
			require.Eventually(t, func() bool {
				var now struct {
					Served struct{ Playlists, Segments int }
				}
				resp, err := http.Get(p.URL + "/stats")
				if err == nil {
					err = errors.Join(json.NewDecoder(resp.Body).Decode(&now), resp.Body.Close())
				}
				return err == nil && now.Served.Playlists > 3 && now.Served.Segments > 5
			}, time.Minute, 100*time.Millisecond)
		})
	}
}
