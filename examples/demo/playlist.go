package main

import (
	"fmt"
	"time"

	"github.com/Eyevinn/hls-m3u8/m3u8"
)

const (
	window         = 16 // segments in a live playlist: 31 s
	targetDuration = 2  // seconds: the segment's duration, rounded
	audio          = "a0"
	audioCodec     = "mp4a.40.2"
)

// variants are the picture qualities, best first. The codecs are those of the rendered init sections.
var variants = []struct{ name, resolution, codec string }{
	{"v0", "640x360", "avc1.4d401e"},
	{"v1", "320x180", "avc1.4d400d"},
}

// trackNames are all renditions.
func trackNames() []string { return []string{variants[0].name, variants[1].name, audio} }

// multivariant makes the multivariant playlist over the tracks of one shape.
func multivariant(tracks map[string]*track) []byte {
	sound := &m3u8.Alternative{
		Type: "AUDIO", GroupId: "sound", Name: "Notes", Language: "zxx", Default: true, Autoselect: true,
		Channels: &m3u8.Channels{Amount: 2}, URI: audio + "/index.m3u8",
	}
	p := m3u8.NewMasterPlaylist()
	p.SetVersion(7)
	p.SetIndependentSegments(true)
	for _, v := range variants {
		p.Append(v.name+"/index.m3u8", nil, m3u8.VariantParams{
			Bandwidth:        tracks[v.name].peak() + tracks[audio].peak(),
			AverageBandwidth: tracks[v.name].average() + tracks[audio].average(),
			Codecs:           v.codec + "," + audioCodec,
			Resolution:       v.resolution,
			FrameRate:        25,
			Audio:            sound.GroupId,
			Captions:         "NONE",
			Alternatives:     []*m3u8.Alternative{sound},
		})
	}
	return p.Encode().Bytes()
}

// media makes the media playlist of any track whose last segment is edge. The segments depend only on edge, so all tracks
// change at the same instant and a restarted origin continues where it was.
func media(edge int64, epoch time.Time, uri func(n int64) string, initURI string) ([]byte, error) {
	first := max(edge-window+1, 0)
	p, err := m3u8.NewMediaPlaylist(window, window)
	if err != nil {
		return nil, err
	}
	defer p.ReleasePlaylist()
	p.SetVersion(6)
	p.SetIndependentSegments(true)
	p.SetTargetDuration(targetDuration)
	p.SeqNo = uint64(first)
	p.DiscontinuitySeq = discontinuitiesBefore(first)
	if initURI != "" {
		p.SetDefaultMap(initURI, 0, 0)
	}
	for n := first; n <= edge; n++ {
		seg := &m3u8.MediaSegment{
			URI:             uri(n),
			Duration:        segmentTime.Seconds(),
			Discontinuity:   discontinuous(n),
			ProgramDateTime: begins(n, epoch),
		}
		if err := p.AppendSegment(seg); err != nil {
			return nil, fmt.Errorf("segment %d: %w", n, err)
		}
	}
	return append([]byte(nil), p.Encode().Bytes()...), nil
}

// begins is the time at which a segment begins.
func begins(n int64, epoch time.Time) time.Time { return epoch.Add(time.Duration(n) * segmentTime) }

// discontinuous tells whether a segment begins a new loop.
func discontinuous(n int64) bool { return n > 0 && n%loopLength == 0 }

// discontinuitiesBefore counts the EXT-X-DISCONTINUITY tags that have left a playlist whose first segment is first. That
// segment's own tag is still there (RFC 8216 section 6.2.2).
func discontinuitiesBefore(first int64) uint64 {
	return uint64(max(first-1, 0) / loopLength)
}
