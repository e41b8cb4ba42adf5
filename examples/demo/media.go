package main

import (
	"embed"
	"encoding/binary"
	"fmt"
	"time"
)

// files holds the rendered test stream: fmp4/ with a file per track, ts/ with a folder per track; see media/render.sh.
//
//go:embed media/fmp4 media/ts
var files embed.FS

const (
	segmentTime = 1920 * time.Millisecond // 48 frames of picture, 90 frames of sound
	loopLength  = 5                       // segments until the picture starts again
	loopTime    = loopLength * segmentTime

	partTime        = segmentTime / partsPerSegment // 8 frames of picture, 15 frames of sound
	partsPerSegment = 6
)

// track is one rendition as it was rendered: the pieces of one loop, in fMP4 parts, in MPEG-TS segments.
type track struct {
	init       []byte // nil for MPEG-TS
	loop       [][]byte
	perSegment int64 // pieces
	retime     retimer
}

// retimer moves the timestamps of a piece in place by a whole number of loops.
type retimer func(piece []byte, loops int64) error

// loadFMP4 reads the fragmented MP4 below media/fmp4: an init section, and a fragment for each part.
func loadFMP4(name string) (*track, error) {
	b, err := files.ReadFile("media/fmp4/" + name + ".mp4")
	if err != nil {
		return nil, err
	}
	t := &track{perSegment: partsPerSegment}
	for at, began := 0, 0; at < len(b); {
		if at+8 > len(b) {
			return nil, errMedia
		}
		kind := string(b[at+4 : at+8])
		at += int(binary.BigEndian.Uint32(b[at:]))
		switch {
		case at > len(b):
			return nil, errMedia
		case kind == "moov":
			t.init, began = b[:at], at
		case kind == "mdat":
			t.loop, began = append(t.loop, b[began:at]), at
		}
	}
	if len(t.loop) != loopLength*partsPerSegment {
		return nil, errMedia
	}
	t.retime, err = newFMP4Retimer(t.init)
	return t, err
}

// loadTS reads the segments in a folder below media/ts.
func loadTS(name string) (*track, error) {
	t := &track{loop: make([][]byte, loopLength), perSegment: 1}
	for i := range t.loop {
		var err error
		if t.loop[i], err = files.ReadFile(fmt.Sprintf("media/ts/%s/%d.ts", name, i)); err != nil {
			return nil, err
		}
	}
	t.retime = newTSRetimer(t.loop)
	return t, nil
}

// segment returns the n-th segment of the endless stream, n >= 0. The caller owns it.
func (t *track) segment(n int64) ([]byte, error) {
	var whole []byte
	for i := range t.perSegment {
		piece, err := t.piece(n*t.perSegment + i)
		if err != nil {
			return nil, err
		}
		whole = append(whole, piece...)
	}
	return whole, nil
}

// piece returns the n-th piece of the endless stream, n >= 0. The caller owns it.
func (t *track) piece(n int64) ([]byte, error) {
	length := int64(len(t.loop))
	b := append([]byte(nil), t.loop[n%length]...)
	return b, t.retime(b, n/length)
}

// peak is the bit rate of the largest segment, which is what BANDWIDTH means (RFC 8216 section 4.3.4.2).
func (t *track) peak() uint32 {
	most := 0
	for n := range int64(loopLength) {
		most = max(most, size(t.loop[n*t.perSegment:(n+1)*t.perSegment]))
	}
	return bitRate(most, segmentTime)
}

// average is the bit rate of a whole loop.
func (t *track) average() uint32 { return bitRate(size(t.loop), loopTime) }

func bitRate(bytes int, d time.Duration) uint32 {
	return uint32(time.Duration(bytes*8) * time.Second / d)
}

func size(pieces [][]byte) int {
	sum := 0
	for _, p := range pieces {
		sum += len(p)
	}
	return sum
}
