package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// source is what is known of a film before it is converted.
type source struct {
	width, height int // as it is shown: turned upright, with square pixels. 0: no picture
	video, audio  int // the streams; -1: none
	duration      time.Duration
}

var (
	errNothing = refusal{http.StatusUnprocessableEntity, "There is neither a picture nor a sound in this film."}
	errHuge    = refusal{http.StatusUnprocessableEntity, "The picture of this film is too large."}
)

// probed is ffprobe's answer.
type probed struct {
	Streams []stream
	Format  struct{ Duration string }
}

type stream struct {
	Index, Width, Height int
	Type                 string `json:"codec_type"`
	Pixel                string `json:"sample_aspect_ratio"`
	Disposition          struct {
		Cover int `json:"attached_pic"`
	}
	Sides []struct{ Rotation float64 } `json:"side_data_list"`
}

func (t tools) probe(ctx context.Context, folder, demuxer string) (source, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errTooLong)
	defer cancel()
	text := &head{most: 1 << 20}
	err := t.run(ctx, folder, text, t.ffprobe, append([]string{"-v", "error", "-show_streams", "-show_format", "-of", "json"}, input(demuxer)...)...)
	if err != nil {
		return source{}, err
	}
	var film probed
	if err := json.Unmarshal(text.Bytes(), &film); err != nil {
		return source{}, fmt.Errorf("ffprobe's answer: %w", err)
	}
	return film.source()
}

func (p probed) source() (source, error) {
	film := source{video: -1, audio: -1}
	for _, s := range p.Streams {
		switch {
		case s.Type == "audio" && film.audio < 0:
			film.audio = s.Index
		case s.Type == "video" && film.video < 0 && s.Disposition.Cover == 0 && s.Width > 0 && s.Height > 0:
			film.video, film.width, film.height = s.Index, square(s.Width, s.Pixel), s.Height
			for _, side := range s.Sides {
				if int(side.Rotation)%180 != 0 {
					film.width, film.height = film.height, film.width
				}
			}
			if s.Width > maxPixels/s.Height {
				return film, errHuge
			}
		}
	}
	if film.video < 0 && film.audio < 0 {
		return film, errNothing
	}
	if seconds, err := strconv.ParseFloat(p.Format.Duration, 64); err == nil && seconds < 1e6 {
		film.duration = time.Duration(seconds * float64(time.Second))
	}
	return film, nil
}

const maxPixels = 8192 * 4608 // 8K

// square is the width that a picture has when its pixels are made as wide as high.
func square(width int, pixel string) int {
	var w, h int
	if _, err := fmt.Sscanf(pixel, "%d:%d", &w, &h); err != nil || w <= 0 || h <= 0 || w > 20*h || h > 20*w {
		return width
	}
	return max(1, int(float64(width)*float64(w)/float64(h)+0.5))
}
