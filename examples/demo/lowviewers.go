package main

import (
	"context"
	"fmt"

	"github.com/Eyevinn/hls-m3u8/m3u8"
)

// followParts loads the new parts in a low-latency playlist, and makes the next reload wait for the next part
// (draft-pantos-hls-rfc8216bis-22 section 6.3.8).
func (v *viewer) followParts(ctx context.Context, r *rendition, p *m3u8.MediaPlaylist) error {
	parts := p.PartialSegments
	if len(parts) == 0 {
		return fmt.Errorf("%s has no parts", r.playlist)
	}
	fresh := max(len(parts)-4, 0) // PART-HOLD-BACK
	if !r.begun && p.Map != nil {
		if err := v.fetch(ctx, r.playlist, p.Map.URI); err != nil {
			return err
		}
	}
	r.begun = true
	for i, part := range parts {
		if part.URI == r.part {
			fresh = i + 1
		}
	}
	for _, part := range parts[fresh:] {
		if err := v.fetch(ctx, r.playlist, part.URI); err != nil {
			return err
		}
	}
	r.part = parts[len(parts)-1].URI
	segment, coming := p.SeqNo+uint64(len(p.GetAllSegments())), 0
	for _, part := range parts {
		if part.SeqID == segment {
			coming++
		}
	}
	reload := *r.playlist
	reload.RawQuery = fmt.Sprintf("_HLS_msn=%d&_HLS_part=%d", segment, coming)
	r.reload = &reload
	return nil
}
