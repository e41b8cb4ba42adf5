package e2e

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestVODFilmsAreWholeInBrowsers: browsers know the length of a film and a song, and seek in them. The film has its moov at the
// end. Only the size of the song tells its length.
func TestVODFilmsAreWholeInBrowsers(t *testing.T) {
	dir := t.TempDir()
	moving := []string{"-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-f", "lavfi", "-i", "sine=frequency=440", "-t", "60"}
	require.NoError(t, ffmpegMakes(append(moving, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50",
		"-c:a", "aac", filepath.Join(dir, "film.mp4"))...))
	require.NoError(t, ffmpegMakes("-f", "lavfi", "-i", "sine=frequency=440", "-t", "60", "-c:a", "libmp3lame", "-b:a", "192k",
		"-write_xing", "0", filepath.Join(dir, "song.mp3")))
	p := startExample(t, "vod", "-dir", dir, "-key", "SECRET")
	for _, b := range []*browser{theBrowser, theFirefox} {
		for _, name := range []string{"film.mp4", "song.mp3"} {
			t.Run(b.program+"/"+name, func(t *testing.T) {
				t.Parallel()
				film := b.do(t, job{Player: "file", URL: p.link(t, "/vod/"+name+"?"), Plan: "through", Seek: 57})
				r := film.until("knew how long it is", func(r report) bool { return r.Duration > 0 || r.fatal() != nil })
				require.Nil(t, r.fatal(), "%+v", r)
				require.InDelta(t, 60, r.Duration, 0.2)
				r = film.until("ended after a seek", func(r report) bool { return r.Ended || r.fatal() != nil })
				require.Nil(t, r.fatal(), "%+v", r)
				require.InDelta(t, 60, r.CurrentTime, 0.3)
				require.Less(t, r.Played, 15.0, "what lies between was not played")
				require.Equal(t, name == "film.mp4", r.Frames > 0)
			})
		}
	}
}
