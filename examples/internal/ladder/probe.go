package ladder

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// source is what is known about a film before its conversion.
type source struct {
	width, height int // as shown: upright, with square pixels. 0: no picture
	video, audio  int // the numbers of the streams; -1: none
	duration      time.Duration
}

var (
	errNothing   = Refusal{http.StatusUnprocessableEntity, "There is neither a picture nor a sound in this film."}
	errHuge      = Refusal{http.StatusUnprocessableEntity, "The picture of this film is too large."}
	errTalkative = Refusal{http.StatusUnprocessableEntity, "This film says more of itself than a film may: too many streams, or too much about them."}
	errSamples   = Refusal{http.StatusUnprocessableEntity, "This film names more pictures and pieces of sound than it can hold."}
	errEndless   = Refusal{http.StatusUnprocessableEntity, "This film is longer than 12 hours, or says so."}
)

const (
	mostStreams = 64
	mostSamples = 6_000_000   // pictures: 12 hours of 120 a second, and some
	maxPixels   = 8192 * 4608 // 8K
)

// probed is ffprobe's answer.
type probed struct {
	Streams []stream
	Format  struct{ Duration string }
}

type stream struct {
	Index, Width, Height int
	Samples              string `json:"nb_frames"` // if the container lists them
	Type                 string `json:"codec_type"`
	Pixel                string `json:"sample_aspect_ratio"`
	Disposition          struct {
		Cover int `json:"attached_pic"`
	}
	Sides []struct{ Rotation float64 } `json:"side_data_list"`
}

func (t Tools) probe(ctx context.Context, folder, demuxer string) (source, error) {
	info, err := os.Stat(filepath.Join(folder, FilmFile))
	if err != nil {
		return source{}, err
	}
	said := &head{most: mostProbe}
	args := append([]string{"-v", "error", "-show_streams", "-show_format", "-of", "json"}, input(demuxer)...)
	if err := t.run(ctx, probeTime, folder, said, t.ffprobe, args...); err != nil {
		return source{}, err
	}
	if said.over {
		return source{}, errTalkative
	}
	var film probed
	if err := json.Unmarshal(said.kept, &film); err != nil {
		return source{}, fmt.Errorf("ffprobe's answer: %w", err)
	}
	if err := film.check(info.Size()); err != nil {
		return source{}, err
	}
	return film.source()
}

// check compares a film's claims with its size in bytes.
func (p probed) check(size int64) error {
	if len(p.Streams) > mostStreams {
		return errTalkative
	}
	for _, s := range p.Streams {
		n, err := strconv.ParseInt(s.Samples, 10, 64)
		if err == nil && (n > size || n > mostSamples && s.Type == "video") { // no sample has less than a byte
			return errSamples
		}
	}
	if seconds, err := strconv.ParseFloat(p.Format.Duration, 64); err == nil && seconds > longest.Seconds() {
		return errEndless
	}
	return nil
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
	if seconds, err := strconv.ParseFloat(p.Format.Duration, 64); err == nil && seconds > 0 && seconds <= longest.Seconds() {
		film.duration = time.Duration(seconds * float64(time.Second))
	}
	return film, nil
}

// square is the width of a picture after its pixels are made square.
func square(width int, pixel string) int {
	var w, h int
	if _, err := fmt.Sscanf(pixel, "%d:%d", &w, &h); err != nil || w <= 0 || h <= 0 || w > 20*h || h > 20*w {
		return width
	}
	return max(1, int(float64(width)*float64(w)/float64(h)+0.5))
}
