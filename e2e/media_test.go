package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// shape is one way to lay out the same 20 s of 25 frames a second.
type shape struct{ name, playlist, asked string }

// shapes has for each shape its entry playlist, and a file that every player needs.
var shapes = []shape{
	{"TS", "ts/index.m3u8", "ts/seg000.ts"},
	{"fMP4", "fmp4/index.m3u8", "fmp4/init.mp4"},
	{"byte ranges", "br/index.m3u8", "br/all.ts"},
	{"AES-128", "aes/index.m3u8", "aes/key.bin"},
	{"separate audio", "mv/master.m3u8", "mv/audio/index.m3u8"},
}

const frames = 500 // in each shape

const master = `#EXTM3U
#EXT-X-VERSION:6
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="Sine",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="audio/index.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=500000,CODECS="avc1.42c00d,mp4a.40.2",RESOLUTION=320x180,AUDIO="a"
video/index.m3u8
`

// media makes the shapes once and returns their folder, which also holds src.mp4.
func media(t testing.TB) string {
	t.Helper()
	requireTool(t, "ffmpeg")
	dir, err := makeMedia()
	require.NoError(t, err)
	return dir
}

var makeMedia = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "media")
	for _, sub := range []string{"ts", "fmp4", "br", "aes", "mv/video", "mv/audio", "subs/text", "iframes", "breaks", "thumbs", "window"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return "", err
		}
	}
	texts := map[string]string{
		"aes/key.bin":    "0123456789abcdef",
		"keyinfo":        "key.bin\n" + filepath.Join(dir, "aes/key.bin") + "\n00112233445566778899aabbccddeeff\n",
		"mv/master.m3u8": master,
	}
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	if err := render(dir); err != nil {
		return "", err
	}
	return dir, errors.Join(writeSubtitles(dir), writeIFrames(dir), writeBreaks(dir), writeThumbnails(dir))
})

func render(dir string) error {
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := ffmpegMakes("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=frequency=440", "-t", "20",
		"-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline", "-pix_fmt", "yuv420p",
		"-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-b:v", "300k", "-c:a", "aac", "-b:a", "64k", "-ac", "2", at("src.mp4")); err != nil {
		return err
	}
	hls := func(args ...string) []string {
		return append([]string{"-i", at("src.mp4"), "-c", "copy", "-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod"}, args...)
	}
	fmp4 := []string{"-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init.mp4"}
	for _, args := range [][]string{
		hls("-hls_segment_filename", at("ts/seg%03d.ts"), at("ts/index.m3u8")),
		hls(append(fmp4, "-hls_segment_filename", at("fmp4/seg%03d.m4s"), at("fmp4/index.m3u8"))...),
		hls("-hls_flags", "single_file", "-hls_segment_filename", at("br/all.ts"), at("br/index.m3u8")),
		hls("-hls_key_info_file", at("keyinfo"), "-hls_segment_filename", at("aes/seg%03d.ts"), at("aes/index.m3u8")),
		hls(append(fmp4, "-map", "0:v", "-hls_segment_filename", at("mv/video/seg%03d.m4s"), at("mv/video/index.m3u8"))...),
		append([]string{"-stream_loop", "29"}, hls("-hls_segment_filename", at("window/seg%d.ts"), at("window/all.m3u8"))...),
		hls(append(fmp4, "-map", "0:a", "-hls_segment_filename", at("mv/audio/seg%03d.m4s"), at("mv/audio/index.m3u8"))...),
	} {
		if err := ffmpegMakes(args...); err != nil {
			return err
		}
	}
	return nil
}
