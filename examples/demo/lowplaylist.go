package main

import (
	"bytes"
	"fmt"
	"time"
)

const (
	skipBoundary      = 6 * targetDuration // seconds; the least that is allowed
	partHoldBack      = 4 * partTime       // at least three are allowed
	segmentsWithParts = 3                  // whole segments at the end of a playlist for which it lists parts
)

// encode makes the playlist (draft-pantos-hls-rfc8216bis-22 section 4.4) of a track whose newest part is last; skip: as
// a delta update. It is written by hand because rendition reports are beyond hls-m3u8.
func (l *lowLatency) encode(last int64, skip bool) []byte {
	b := &bytes.Buffer{}
	edge := (last+1)/partsPerSegment - 1
	first := max(edge-window+1, 0)
	fmt.Fprintf(b, "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-TARGETDURATION:%d\n", targetDuration)
	fmt.Fprintf(b, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=%d,PART-HOLD-BACK=%.2f\n", skipBoundary, partHoldBack.Seconds())
	fmt.Fprintf(b, "#EXT-X-PART-INF:PART-TARGET=%.2f\n", partTime.Seconds())
	fmt.Fprintf(b, "#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-DISCONTINUITY-SEQUENCE:%d\n", first, discontinuitiesBefore(first))
	if skipped := l.skippable(first, last); skip && skipped > 0 {
		fmt.Fprintf(b, "#EXT-X-SKIP:SKIPPED-SEGMENTS=%d\n", skipped)
		first += skipped
	} else {
		fmt.Fprintf(b, "#EXT-X-MAP:URI=%q\n", "init.mp4")
	}
	for n := first; n*partsPerSegment <= last; n++ {
		l.encodeSegment(b, n, edge, last)
	}
	fmt.Fprintf(b, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=%q\n", l.partURI(last+1))
	for _, other := range trackNames() {
		if other != l.name {
			fmt.Fprintf(b, "#EXT-X-RENDITION-REPORT:URI=%q,LAST-MSN=%d,LAST-PART=%d\n",
				"../"+other+"/index.m3u8", last/partsPerSegment, last%partsPerSegment)
		}
	}
	return b.Bytes()
}

// skippable counts the segments that lie before the skip boundary.
func (l *lowLatency) skippable(first, last int64) int64 {
	boundary := time.Duration(last+1)*partTime - skipBoundary*time.Second
	return max(int64(boundary/segmentTime)-first, 0)
}

// encodeSegment writes a segment. Of the unfinished one it writes the parts.
func (l *lowLatency) encodeSegment(b *bytes.Buffer, n, edge, last int64) {
	if discontinuous(n) {
		b.WriteString("#EXT-X-DISCONTINUITY\n")
	}
	fmt.Fprintf(b, "#EXT-X-PROGRAM-DATE-TIME:%s\n", begins(n, l.o.epoch).Format("2006-01-02T15:04:05.000Z07:00"))
	for k := n * partsPerSegment; n > edge-segmentsWithParts && k < (n+1)*partsPerSegment && k <= last; k++ {
		independent := ""
		if l.name == audio || k%partsPerSegment == 0 { // a segment of picture begins with its only key frame
			independent = ",INDEPENDENT=YES"
		}
		fmt.Fprintf(b, "#EXT-X-PART:DURATION=%.2f,URI=%q%s\n", partTime.Seconds(), l.partURI(k), independent)
	}
	if n <= edge {
		fmt.Fprintf(b, "#EXTINF:%.2f,\n%s\n", segmentTime.Seconds(), l.segmentURI(n))
	}
}
