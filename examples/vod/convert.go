package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const longest = 6 * time.Hour // that one film may take ffmpeg

// convert has ffmpeg make an HLS folder of a film, at most 1080 lines high. The demuxer is named and files are the only
// protocol, so that a "film" which is really a list of other files or URLs opens nothing.
func convert(ctx context.Context, ffmpeg, demuxer, film, folder string) error {
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	cmd := exec.CommandContext(ctx, ffmpeg, "-nostdin", "-hide_banner", "-v", "error",
		"-protocol_whitelist", "file", "-f", demuxer, "-i", "file:"+film,
		"-map", "0:v:0?", "-map", "0:a:0?", "-map_metadata", "-1",
		"-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-pix_fmt", "yuv420p",
		"-vf", "scale='min(1920,iw)':'min(1080,ih)':force_original_aspect_ratio=decrease:force_divisible_by=2",
		"-sc_threshold", "0", "-force_key_frames", "expr:gte(t,n_forced*4)",
		"-c:a", "aac", "-ac", "2", "-b:a", "128k",
		"-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod",
		"-hls_segment_filename", filepath.Join(folder, "seg%05d.ts"), filepath.Join(folder, "index.m3u8"))
	said := &head{most: 4 << 10}
	cmd.Stderr = said
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if err == nil {
		_, err = os.Stat(filepath.Join(folder, "index.m3u8"))
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return refusal{http.StatusUnprocessableEntity, "Converting the film took too long."}
	case ctx.Err() != nil:
		return refusal{http.StatusServiceUnavailable, "Converting the film was cancelled."}
	}
	return refusal{http.StatusUnprocessableEntity, fmt.Sprintf("ffmpeg cannot convert this film: %s", reason(said.String(), filepath.Dir(film)))}
}

// reason is the first thing that ffmpeg complained of, without the names of our folders.
func reason(said, folder string) string {
	said = strings.NewReplacer("file:"+folder+"/", "", folder+"/", "").Replace(said)
	first, _, _ := strings.Cut(strings.TrimSpace(said), "\n")
	if strings.HasPrefix(first, "[") {
		_, first, _ = strings.Cut(first, "] ")
	}
	if first == "" {
		return "it gave no reason."
	}
	return first
}

// head keeps the beginning of what is written to it, and takes the rest.
type head struct {
	bytes.Buffer
	most int
}

func (t *head) Write(p []byte) (int, error) {
	t.Buffer.Write(p[:max(0, min(len(p), t.most-t.Len()))])
	return len(p), nil
}

// demuxerOf tells from a film's first bytes which of ffmpeg's demuxers reads it.
func demuxerOf(first []byte) (string, bool) {
	at := func(offset int, text string) bool {
		return len(first) >= offset && bytes.HasPrefix(first[offset:], []byte(text))
	}
	switch {
	case at(4, "ftyp"), at(4, "moov"), at(4, "mdat"), at(4, "wide"), at(4, "free"), at(4, "skip"):
		return "mov", true
	case at(0, "\x1a\x45\xdf\xa3"):
		return "matroska", true
	case at(0, "\x47") && at(188, "\x47") && at(376, "\x47"):
		return "mpegts", true
	case at(0, "RIFF") && at(8, "AVI "):
		return "avi", true
	case at(0, "FLV\x01"):
		return "flv", true
	case at(0, "OggS"):
		return "ogg", true
	case at(0, "\x00\x00\x01\xba"):
		return "mpeg", true
	}
	return "", false
}
