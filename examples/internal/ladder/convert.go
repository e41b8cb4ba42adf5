// Package ladder turns films into HLS with ffmpeg: up to three sizes of the picture, each with the sound. Films are untrusted:
// the package chooses the demuxer, files are the only protocol, and it bounds memory, time, the number of streams and samples,
// and the length of the result.
package ladder

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// The names in the working folder of a film.
const (
	FilmFile  = "film" // the film itself
	HLSFolder = "hls"  // the result; its multivariant playlist is index.m3u8
)

// Convert turns the film in a folder into HLS. demuxer comes from Demuxer, so that a "film" which is really a list of other
// files or URLs opens nothing. Segments are MPEG-TS or, if fragmented, MP4. percent is called with the progress.
func (t Tools) Convert(ctx context.Context, folder, demuxer string, fragmented bool, percent func(int)) (Made, error) {
	film, err := t.probe(ctx, folder, demuxer)
	if err != nil {
		return Made{}, err
	}
	renditions := film.renditions()
	for _, r := range renditions {
		if err := os.MkdirAll(filepath.Join(folder, HLSFolder, r.folder), 0o755); err != nil {
			return Made{}, err
		}
	}
	args := []string{"-nostdin", "-hide_banner", "-v", "error", "-progress", "pipe:1", "-stats_period", "0.25"}
	args = append(args, bounded(len(renditions))...)
	args = append(args, input(demuxer)...)
	args = append(args, film.filters()...)
	for i, r := range renditions {
		args = append(args, film.output(i, r, fragmented)...)
	}
	if err := t.run(ctx, film.patience(), folder, &progress{of: film.duration, percent: percent}, t.ffmpeg, args...); err != nil {
		return Made{}, err
	}
	if err := writeMultivariant(filepath.Join(folder, HLSFolder), renditions); err != nil {
		return Made{}, err
	}
	return t.describe(ctx, folder, renditions)
}

// input names the film to ffmpeg and ffprobe. The limit of pixels applies to every decoded picture, whatever the header says.
func input(demuxer string) []string {
	return []string{
		"-protocol_whitelist", "file", "-max_streams", strconv.Itoa(mostStreams), "-max_pixels", strconv.Itoa(maxPixels),
		"-f", demuxer, "-i", "file:" + FilmFile,
	}
}

// patience is how long a conversion may take: long enough for a slow and busy machine.
func (s source) patience() time.Duration {
	if s.duration == 0 {
		return hardEnd
	}
	return min(hardEnd, 5*time.Minute+20*s.duration)
}

// threads gives ffmpeg about one thread for each core, and at most eight, which bounds its memory.
func threads(outputs int) string { return strconv.Itoa(max(1, min(8, runtime.NumCPU())/outputs)) }

func bounded(outputs int) []string {
	n := threads(outputs)
	return []string{"-filter_complex_threads", n, "-threads", n}
}

// filters makes the pictures of all sizes from one decoded picture.
func (s source) filters() []string {
	rungs := ladder(s.width, s.height)
	if len(rungs) == 0 {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[0:%d]split=%d", s.video, len(rungs))
	for i := range rungs {
		fmt.Fprintf(&b, "[s%d]", i)
	}
	for i, r := range rungs {
		fmt.Fprintf(&b, ";[s%d]scale=%d:%d,setsar=1[v%d]", i, r.width, r.height, i)
	}
	return []string{"-filter_complex", b.String()}
}

// output makes ffmpeg write one rendition. Key frames are at the same times in all of them, one at the start of each segment.
func (s source) output(i int, r rendition, fragmented bool) []string {
	args := []string{"-map_metadata", "-1", "-map_chapters", "-1", "-t", fmt.Sprint(s.most().Seconds())}
	if s.video >= 0 {
		args = append(args, "-map", fmt.Sprintf("[v%d]", i), "-fpsmax", "60", "-fps_mode", "vfr", // a gap is no reason to repeat a picture a million times
			"-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-pix_fmt", "yuv420p",
			"-maxrate", strconv.Itoa(r.bits()), "-bufsize", strconv.Itoa(2*r.bits()),
			"-sc_threshold", "0", "-force_key_frames", "expr:gte(t,n_forced*4)",
			"-threads", threads(len(ladder(s.width, s.height))))
	}
	if s.audio >= 0 {
		args = append(args, "-map", fmt.Sprintf("0:%d", s.audio), "-c:a", "aac", "-ac", "2", "-b:a", "128k")
	}
	args = append(args, "-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod", "-hls_flags", "independent_segments")
	segment, to := "seg%05d.ts", filepath.Join(HLSFolder, r.folder)
	if fragmented {
		segment = "seg%05d.m4s"
		args = append(args, "-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init.mp4")
	}
	return append(args, "-hls_segment_filename", filepath.Join(to, segment), filepath.Join(to, "index.m3u8"))
}

// most is how long the result may be: somewhat longer than the film claims, because many do not know their length.
func (s source) most() time.Duration {
	if s.duration == 0 {
		return longest
	}
	return min(longest, time.Minute+2*s.duration)
}
