package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Parts are counted from the beginning of the stream, like segments: part k is the (k mod 6)-th of segment k div 6.

// advanceLimit is how many parts beyond the last one a player may request (draft-pantos-hls-rfc8216bis-22 section 6.2.5.2).
const advanceLimit = int64(3 * time.Second / partTime)

var errDirectives = errors.New("delivery directives that cannot be followed")

// lastPart is the newest part that is complete.
func (o *liveOrigin) lastPart() int64 { return int64(o.now().Sub(o.epoch)/partTime) - 1 }

// untilPart waits until a part is complete. It returns false if ctx ends before.
func (o *liveOrigin) untilPart(ctx context.Context, k int64) bool {
	for o.lastPart() < k {
		if !wait(ctx, o.epoch.Add(time.Duration(k+1)*partTime).Sub(o.now())) {
			return false
		}
	}
	return true
}

// partURI names a part.
func (s *shape) partURI(k int64) string {
	return fmt.Sprintf("%d.%d%s", k/partsPerSegment, k%partsPerSegment, s.ext)
}

// part reads the number of a part from its name. Besides complete parts, the next one is valid, which a playlist hints at.
func (s *shape) part(name string, last int64) (int64, error) {
	segment, index, _ := strings.Cut(strings.TrimSuffix(name, s.ext), ".")
	n, err := strconv.ParseInt(segment, 10, 64)
	i, err2 := strconv.ParseInt(index, 10, 64)
	if err != nil || err2 != nil || n < oldest(last/partsPerSegment) || n > last/partsPerSegment+1 {
		return 0, errNoSuchMedia
	}
	k := n*partsPerSegment + i
	if k > last+1 || name != s.partURI(k) {
		return 0, errNoSuchMedia
	}
	return k, nil
}

// lowLatency is one rendition with parts.
type lowLatency struct {
	o                   *liveOrigin
	name                string
	segmentURI, partURI func(n int64) string
}

// playlist answers when the requested state exists, with a delta update if the request asks for one.
func (l *lowLatency) playlist(w http.ResponseWriter, r *http.Request) {
	d, err := parseDirectives(r.URL.Query(), l.o.lastPart())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if l.o.untilPart(r.Context(), d.part) {
		send(w, playlistType, l.encode(l.o.lastPart(), d.skip), nil)
	}
}

// directives are the delivery directives of draft-pantos-hls-rfc8216bis-22 section 6.2.5.
type directives struct {
	part int64 // to wait for
	skip bool  // the player has the older segments
}

func parseDirectives(q url.Values, last int64) (directives, error) {
	// Only v2 would skip more than YES here, and SERVER-CONTROL does not offer it.
	d := directives{part: -1, skip: q.Get("_HLS_skip") == "YES"}
	if !q.Has("_HLS_msn") {
		if q.Has("_HLS_part") {
			return d, fmt.Errorf("%w: _HLS_part without _HLS_msn", errDirectives)
		}
		return d, nil
	}
	segment, err := strconv.ParseInt(q.Get("_HLS_msn"), 10, 64)
	if err != nil || segment < 0 || segment > last/partsPerSegment+2 {
		return d, fmt.Errorf("%w: no _HLS_msn to wait for", errDirectives)
	}
	if !q.Has("_HLS_part") {
		d.part = (segment+1)*partsPerSegment - 1
		return d, nil
	}
	index, err := strconv.ParseInt(q.Get("_HLS_part"), 10, 64)
	if err != nil || index < 0 {
		return d, fmt.Errorf("%w: _HLS_part is no number", errDirectives)
	}
	// A part beyond a segment's last one means the first part of the next segment.
	d.part = segment*partsPerSegment + min(index, partsPerSegment)
	if d.part > last+advanceLimit {
		return d, fmt.Errorf("%w: _HLS_part is too far ahead", errDirectives)
	}
	return d, nil
}
