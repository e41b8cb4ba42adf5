// Package ladder turns films into HLS with ffmpeg: up to three sizes of the picture, each with the sound. A film is
// untrusted. The demuxer is chosen here, files are the only protocol, and memory, time, the number of streams and of
// samples, and the length of what comes of it have bounds.
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

// The names in the folder that a film is converted in.
const (
	FilmFile  = "film" // the film itself
	HLSFolder = "hls"  // what it becomes; the multivariant playlist in it is index.m3u8
)

// Convert makes HLS of the film in a folder. The demuxer is that of Demuxer, so that a "film" which is really a list of
// other files or URLs opens nothing. Segments are those of a transport stream or, fragmented, of MP4. percent is told how
// far it is.
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

// input names the film to ffmpeg and ffprobe. The bound of the pixels holds for every picture that is decoded, whatever
// the header says.
func input(demuxer string) []string {
	return []string{
		"-protocol_whitelist", "file", "-max_streams", strconv.Itoa(mostStreams), "-max_pixels", strconv.Itoa(maxPixels),
		"-f", demuxer, "-i", "file:" + FilmFile,
	}
}

// patience is how long a conversion may take: long enough for a slow machine that has other things to do.
func (s source) patience() time.Duration {
	if s.duration == 0 {
		return hardEnd
	}
	return min(hardEnd, 5*time.Minute+20*s.duration)
}

// threads leaves ffmpeg about as many as there are cores, of which more than eight would take too much memory.
func threads(outputs int) string { return strconv.Itoa(max(1, min(8, runtime.NumCPU())/outputs)) }

func bounded(outputs int) []string {
	n := threads(outputs)
	return []string{"-filter_complex_threads", n, "-threads", n}
}

// filters makes the pictures of all sizes from one that is decoded once.
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

// output has ffmpeg write one rendition. Key frames stand at the same times in all, one at the start of each segment.
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

// most is how long what comes of a film may last: somewhat longer than the film says that it is, since many do not know.
func (s source) most() time.Duration {
	if s.duration == 0 {
		return longest
	}
	return min(longest, time.Minute+2*s.duration)
}
