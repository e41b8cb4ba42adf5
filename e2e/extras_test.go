package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// extras are shapes that add something to the plain ones.
var extras = []shape{
	{"subtitles", "subs/master.m3u8", "subs/text/seg000.vtt"},
	{"I-frame playlist", "iframes/master.m3u8", "mv/audio/index.m3u8"},
	{"interstitials", "breaks/index.m3u8", "fmp4/init.mp4"},
	{"thumbnails", "thumbs/master.m3u8", "ts/seg000.ts"},
}

const iframeList = "iframes/index.m3u8"

// writeSubtitles puts WebVTT beside the fMP4, in segments of a cue each.
func writeSubtitles(dir string) error {
	list := "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n#EXT-X-PLAYLIST-TYPE:VOD\n"
	for i := range 10 {
		name := fmt.Sprintf("seg%03d.vtt", i)
		list += "#EXTINF:2.0,\n" + name + "\n"
		cue := fmt.Sprintf("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n00:00:%02d.000 --> 00:00:%02d.900\nLine %d\n", 2*i, 2*i+1, i)
		if err := write(dir, "subs/text/"+name, cue); err != nil {
			return err
		}
	}
	if err := write(dir, "subs/text/index.m3u8", list+"#EXT-X-ENDLIST\n"); err != nil {
		return err
	}
	return write(dir, "subs/master.m3u8", `#EXTM3U
#EXT-X-VERSION:6
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,URI="text/index.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=500000,CODECS="avc1.42c00d,mp4a.40.2",RESOLUTION=320x180,SUBTITLES="s"
../fmp4/index.m3u8
`)
}

// writeIFrames makes a rendition with one picture for each segment, all in one file.
func writeIFrames(dir string) error {
	at := func(name string) string { return filepath.Join(dir, "iframes", name) }
	if err := ffmpegMakes("-i", filepath.Join(dir, "src.mp4"), "-an", "-vf", "select='not(mod(n,50))'", "-vsync", "vfr",
		"-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline", "-pix_fmt", "yuv420p", "-g", "1",
		"-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4",
		"-hls_fmp4_init_filename", "init.mp4", "-hls_segment_filename", at("seg%d.m4s"), at("segments.m3u8")); err != nil {
		return err
	}
	all, err := os.ReadFile(at("init.mp4"))
	if err != nil {
		return err
	}
	list := "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-I-FRAMES-ONLY\n"
	list += fmt.Sprintf("#EXT-X-MAP:URI=\"all.mp4\",BYTERANGE=\"%d@0\"\n", len(all))
	for i := range 10 {
		picture, err := os.ReadFile(at(fmt.Sprintf("seg%d.m4s", i)))
		if err != nil {
			return err
		}
		list += fmt.Sprintf("#EXTINF:2.0,\n#EXT-X-BYTERANGE:%d@%d\nall.mp4\n", len(picture), len(all))
		all = append(all, picture...)
	}
	return errors.Join(write(dir, "iframes/all.mp4", string(all)), write(dir, iframeList, list+"#EXT-X-ENDLIST\n"),
		write(dir, "iframes/master.m3u8", `#EXTM3U
#EXT-X-VERSION:6
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="Sine",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="../mv/audio/index.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=500000,CODECS="avc1.42c00d,mp4a.40.2",RESOLUTION=320x180,AUDIO="a"
../mv/video/index.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=100000,CODECS="avc1.42c00d",RESOLUTION=320x180,URI="index.m3u8"
`))
}

// writeBreaks interrupts the fMP4 twice, once for an asset and once for a list of assets. Each is one segment long and is
// played to its end: Shaka takes X-PLAYOUT-LIMIT for a time on the clock and skips assets that begin slowly.
func writeBreaks(dir string) error {
	film, err := besides(dir, "fmp4")
	if err != nil {
		return err
	}
	ts, err := besides(dir, "ts")
	if err != nil {
		return err
	}
	const breaks = `#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z
#EXT-X-DATERANGE:ID="one",CLASS="com.apple.hls.interstitial",START-DATE="2026-01-01T00:00:02.000Z",X-ASSET-URI="../breaks/ts.m3u8",X-RESUME-OFFSET=0
#EXT-X-DATERANGE:ID="two",CLASS="com.apple.hls.interstitial",START-DATE="2026-01-01T00:00:04.000Z",X-ASSET-LIST="../breaks/assets.json",X-RESUME-OFFSET=0
#EXTINF`
	return errors.Join(
		write(dir, "breaks/index.m3u8", strings.Replace(film, "#EXTINF", breaks, 1)),
		write(dir, "breaks/ts.m3u8", firstSegment(ts)),
		write(dir, "breaks/fmp4.m3u8", firstSegment(film)),
		write(dir, "breaks/assets.json", `{"ASSETS":[{"URI":"../breaks/fmp4.m3u8","DURATION":2}]}`))
}

// writeThumbnails puts two pictures beside the TS, of five thumbnails each, and a track that says where each of them is. The
// playlist names the track.
func writeThumbnails(dir string) error {
	if err := ffmpegMakes("-i", filepath.Join(dir, "src.mp4"), "-vf", "fps=1/2,scale=160:90,tile=5x1", "-frames:v", "2",
		filepath.Join(dir, "thumbs/sprite%d.jpg")); err != nil {
		return err
	}
	track := "WEBVTT\n\nNOTE ten thumbnails\n"
	for i := range 10 {
		track += fmt.Sprintf("\n00:00:%02d.000 --> 00:00:%02d.000\nsprite%d.jpg#xywh=%d,0,160,90\n", 2*i, 2*i+2, i/5+1, i%5*160)
	}
	return errors.Join(write(dir, "thumbs/track.vtt", track), write(dir, "thumbs/master.m3u8", `#EXTM3U
#EXT-X-SESSION-DATA:DATA-ID="com.example.thumbnails",FORMAT=RAW,URI="track.vtt"
#EXT-X-STREAM-INF:BANDWIDTH=500000,CODECS="avc1.42c00d,mp4a.40.2",RESOLUTION=320x180
../ts/index.m3u8
`))
}

// besides is the playlist of a shape as it would stand in a folder beside its own.
func besides(dir, shape string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, shape, "index.m3u8"))
	list := strings.ReplaceAll(string(text), "\nseg", "\n../"+shape+"/seg")
	return strings.Replace(list, `"init.mp4"`, `"../`+shape+`/init.mp4"`, 1), err
}

func firstSegment(playlist string) string {
	pieces := strings.SplitN(playlist, "#EXTINF", 3)
	return pieces[0] + "#EXTINF" + pieces[1] + "#EXT-X-ENDLIST\n"
}

func write(dir, name, text string) error {
	return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)
}
