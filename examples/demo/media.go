package main

import (
	"embed"
	"fmt"
	"io/fs"
	"time"
)

// files holds the rendered test stream: fmp4/ and ts/, in each a folder per track; see media/render.sh.
//
//go:embed media/fmp4 media/ts
var files embed.FS

const (
	segmentTime = 1920 * time.Millisecond // 48 frames of picture, 90 frames of sound
	loopLength  = 5                       // segments until the picture starts again
	loopTime    = loopLength * segmentTime
)

// track is one rendition as it was rendered: the segments of one loop.
type track struct {
	init   []byte // nil for MPEG-TS
	loop   [loopLength][]byte
	retime retimer
}

// retimer moves the timestamps of a segment, in place, by a whole number of loops.
type retimer func(segment []byte, loops int64) error

// loadTrack reads the track of a folder below media, e.g. "fmp4/v0".
func loadTrack(dir, ext string) (*track, error) {
	t := &track{}
	for i := range t.loop {
		var err error
		if t.loop[i], err = files.ReadFile(fmt.Sprintf("media/%s/%d%s", dir, i, ext)); err != nil {
			return nil, err
		}
	}
	if ext == ".ts" {
		t.retime = newTSRetimer(t.loop[:])
		return t, nil
	}
	var err error
	if t.init, err = fs.ReadFile(files, "media/"+dir+"/init.mp4"); err != nil {
		return nil, err
	}
	t.retime, err = newFMP4Retimer(t.init)
	return t, err
}

// segment returns the n-th segment of the endless stream, n >= 0. The caller owns it.
func (t *track) segment(n int64) ([]byte, error) {
	b := append([]byte(nil), t.loop[n%loopLength]...)
	return b, t.retime(b, n/loopLength)
}

// peak is the bit rate of the largest segment, which is what BANDWIDTH means (RFC 8216 section 4.3.4.2).
func (t *track) peak() uint32 {
	most := 0
	for _, s := range t.loop {
		most = max(most, len(s))
	}
	return uint32(time.Duration(most*8) * time.Second / segmentTime)
}

// average is the bit rate of a whole loop.
func (t *track) average() uint32 {
	sum := 0
	for _, s := range t.loop {
		sum += len(s)
	}
	return uint32(time.Duration(sum*8) * time.Second / loopTime)
}
