package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// The names in the hidden folder of an upload.
const (
	filmFile  = "film"
	hlsFolder = "hls"
)

const longest = 6 * time.Hour // that one film may take ffmpeg

var errTooLong = refusal{http.StatusUnprocessableEntity, "Converting the film took too long."}

// convert makes HLS of the film in a folder. The demuxer is named and files are the only protocol, so that a "film"
// which is really a list of other files or URLs opens nothing.
func (t tools) convert(ctx context.Context, folder, demuxer string, fragmented bool, percent func(int)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, longest, errTooLong)
	defer cancel()
	film, err := t.probe(ctx, folder, demuxer)
	if err != nil {
		return err
	}
	renditions := film.renditions()
	for _, r := range renditions {
		if err := os.MkdirAll(filepath.Join(folder, hlsFolder, r.folder), 0o755); err != nil {
			return err
		}
	}
	args := []string{"-nostdin", "-hide_banner", "-v", "error", "-progress", "pipe:1", "-stats_period", "0.25"}
	args = append(args, bounded(len(renditions))...)
	args = append(args, input(demuxer)...)
	args = append(args, film.filters()...)
	for i, r := range renditions {
		args = append(args, film.output(i, r, fragmented)...)
	}
	if err := t.run(ctx, folder, &progress{of: film.duration, percent: percent}, t.ffmpeg, args...); err != nil {
		return err
	}
	return writeMultivariant(filepath.Join(folder, hlsFolder), renditions)
}

// input names the film to ffmpeg and ffprobe.
func input(demuxer string) []string {
	return []string{"-protocol_whitelist", "file", "-f", demuxer, "-i", "file:" + filmFile}
}

// bounded leaves ffmpeg about as many threads as there are cores.
func bounded(outputs int) []string {
	n := strconv.Itoa(max(1, runtime.NumCPU()/outputs))
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
	args := []string{"-map_metadata", "-1", "-map_chapters", "-1"}
	if s.video >= 0 {
		args = append(args, "-map", fmt.Sprintf("[v%d]", i), "-fpsmax", "60",
			"-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-pix_fmt", "yuv420p",
			"-maxrate", strconv.Itoa(r.bits()), "-bufsize", strconv.Itoa(2*r.bits()),
			"-sc_threshold", "0", "-force_key_frames", "expr:gte(t,n_forced*4)",
			"-threads", strconv.Itoa(max(1, runtime.NumCPU()/len(ladder(s.width, s.height)))))
	}
	if s.audio >= 0 {
		args = append(args, "-map", fmt.Sprintf("0:%d", s.audio), "-c:a", "aac", "-ac", "2", "-b:a", "128k")
	}
	args = append(args, "-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod", "-hls_flags", "independent_segments")
	segment, to := "seg%05d.ts", filepath.Join(hlsFolder, r.folder)
	if fragmented {
		segment = "seg%05d.m4s"
		args = append(args, "-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init.mp4")
	}
	return append(args, "-hls_segment_filename", filepath.Join(to, segment), filepath.Join(to, "index.m3u8"))
}
