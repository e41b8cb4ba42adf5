package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/stretchr/testify/require"
)

func lowOrigin(t *testing.T) (*liveOrigin, http.Handler) {
	t.Helper()
	o := newLiveOrigin(time.Now, true)
	h, err := o.handler()
	require.NoError(t, err)
	return o, h
}

// at waits in a bubble until some time after a part is complete.
func (o *liveOrigin) at(k int64, after time.Duration) {
	time.Sleep(time.Until(o.epoch.Add(time.Duration(k+1)*partTime + after - distance)))
}

func TestASegmentIsItsParts(t *testing.T) {
	for _, name := range trackNames() {
		track, err := loadFMP4(name)
		require.NoError(t, err)
		scale := uint64(12800)
		if name == audio {
			scale = 48000
		}
		for _, n := range []int64{0, 4, 5, 93_000_000} {
			whole, err := track.segment(n)
			require.NoError(t, err)
			for i := range int64(partsPerSegment) {
				k := n*partsPerSegment + i
				part, err := track.piece(k)
				require.NoError(t, err)
				var found bool
				whole, found = bytes.CutPrefix(whole, part)
				require.True(t, found)
				require.Equal(t, 2, boxes(part), "moof and mdat")
				require.Equal(t, uint64(k)*scale*32/100, binary.BigEndian.Uint64(box(part, "moof", "traf", "tfdt")[4:]))
				require.Equal(t, name == audio || i == 0, startsWithSync(t, part), "%s part %d: what INDEPENDENT says", name, i)
			}
			require.Empty(t, whole)
		}
	}
}

func boxes(b []byte) (n int) {
	for ; len(b) > 0; n++ {
		b = b[binary.BigEndian.Uint32(b):]
	}
	return n
}

// startsWithSync reads the flags of a fragment's first sample (ISO/IEC 14496-12 section 8.8.8).
func startsWithSync(t *testing.T, part []byte) bool {
	t.Helper()
	tfhd, trun := box(part, "moof", "traf", "tfhd"), box(part, "moof", "traf", "trun")
	flags := binary.BigEndian.Uint32(tfhd[len(tfhd)-4:]) // the default
	if trun[3]&0x04 != 0 {
		flags = binary.BigEndian.Uint32(trun[12:])
	}
	return flags&0x10000 == 0
}

var lowRoots = trackRoots[:3]

// follower plays one rendition as a low-latency player does, and checks that the origin takes nothing back.
type follower struct {
	o        *liveOrigin
	h        http.Handler
	root     string
	promises map[string]string // of a URI: date, discontinuity and tags
}

func TestLowLatencyPlaylistsAreRightPartByPart(t *testing.T) {
	for _, root := range lowRoots {
		t.Run(root, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, h := lowOrigin(t)
				f := &follower{o, h, root, map[string]string{}}
				first, parts := o.lastPart()+1, int64(2*loopLength*partsPerSegment)
				for k := first; k < first+parts; k++ {
					f.reload(t, k)
				}
				before, after := (first+1)/partsPerSegment, (first+parts)/partsPerSegment // whole segments
				parts += first - (before-segmentsWithParts)*partsPerSegment
				require.EqualValues(t, parts+window+after-before, len(f.promises), "nothing is left out")
			})
		})
	}
}

// reload requests a playlist with part k and checks all of it.
func (f *follower) reload(t *testing.T, k int64) {
	w := get(f.h, fmt.Sprintf("%sindex.m3u8?_HLS_msn=%d&_HLS_part=%d", f.root, k/partsPerSegment, k%partsPerSegment))
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, f.o.epoch.Add(time.Duration(k+1)*partTime), time.Now().UTC(), "as soon as the part is there")
	text := w.Body.String()
	p := decode(t, text).(*m3u8.MediaPlaylist)
	edge := (k+1)/partsPerSegment - 1
	require.EqualValues(t, targetDuration, p.TargetDuration)
	require.InDelta(t, 0.32, p.PartTargetDuration, 1e-9)
	require.True(t, p.ServerControl.CanBlockReload)
	require.GreaterOrEqual(t, p.ServerControl.PartHoldBack, 3*p.PartTargetDuration)
	require.GreaterOrEqual(t, p.ServerControl.CanSkipUntil, 6.0*targetDuration)
	require.EqualValues(t, edge-window+1, p.SeqNo)
	require.Len(t, p.GetAllSegments(), window)
	require.Equal(t, &m3u8.PreloadHint{Type: "PART", URI: partName(k + 1)}, p.PreloadHints)

	// The oracle does not read rendition reports, drops parts and moves dates. Check these by hand.
	parts := regexp.MustCompile(`(?m)^#EXT-X-PART:(.*)$`).FindAllStringSubmatch(text, -1)
	require.Len(t, parts, int(k-(edge-segmentsWithParts+1)*partsPerSegment+1))
	var want []string
	for _, name := range trackNames() {
		if f.root != "/live/"+name+"/" {
			want = append(want, fmt.Sprintf("#EXT-X-RENDITION-REPORT:URI=\"../%s/index.m3u8\",LAST-MSN=%d,LAST-PART=%d", name, k/partsPerSegment, k%partsPerSegment))
		}
	}
	require.Equal(t, want, regexp.MustCompile(`(?m)^#EXT-X-RENDITION-REPORT.*$`).FindAllString(text, -1))
	f.keepsItsPromises(t, text, int64(p.SeqNo), k)
}

var mediaLine = regexp.MustCompile(`^(?:#EXT-X-PART:DURATION=0.32,URI="([^"]+)"(,INDEPENDENT=YES)?|([^#].*))$`)

// keepsItsPromises walks a whole playlist line by line.
func (f *follower) keepsItsPromises(t *testing.T, text string, n, last int64) {
	at, tags, k := f.o.epoch.Add(time.Duration(n)*segmentTime), "", int64(-1)
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		date, dated := strings.CutPrefix(line, "#EXT-X-PROGRAM-DATE-TIME:")
		m := mediaLine.FindStringSubmatch(line)
		switch {
		case dated:
			require.Equal(t, at.Format("2006-01-02T15:04:05.000Z"), date, "segment %d", n)
			k, tags = n*partsPerSegment, tags+date
		case line == "#EXT-X-DISCONTINUITY":
			require.Zero(t, n%loopLength)
			tags = "new "
		case m == nil:
			require.NotContains(t, line, "EXT-X-PART:")
		case m[3] != "":
			require.Equal(t, fmt.Sprintf("%d.m4s", n), m[3])
			f.promise(t, m[3], tags)
			n, at, tags = n+1, at.Add(segmentTime), ""
		default:
			require.Equal(t, partName(k), m[1])
			require.Equal(t, f.root == "/live/a0/" || k%partsPerSegment == 0, m[2] != "", "what the media is: see above")
			f.promise(t, m[1], tags+m[2])
			k++
		}
	}
	require.Equal(t, last/partsPerSegment, n-1+min((last+1)%partsPerSegment, 1), "nothing is missing at the end")
}

func (f *follower) promise(t *testing.T, uri, what string) {
	if before, known := f.promises[uri]; known {
		require.Equal(t, before, what, uri)
	}
	f.promises[uri] = what
}

func partName(k int64) string { return fmt.Sprintf("%d.%d.m4s", k/partsPerSegment, k%partsPerSegment) }

func TestDeltaUpdatesLeaveOutOnlyWhatIsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, h := lowOrigin(t)
		for range 8 {
			k := o.lastPart() + 1
			where := fmt.Sprintf("/live/v1/index.m3u8?_HLS_msn=%d&_HLS_part=%d", k/partsPerSegment, k%partsPerSegment)
			delta := get(h, where+"&_HLS_skip=YES").Body.String()
			o.at(k, 0)
			full := get(h, where).Body.String()
			skip := regexp.MustCompile(`#EXT-X-SKIP:SKIPPED-SEGMENTS=(\d+)\n`).FindStringSubmatch(delta)
			require.Len(t, skip, 2)
			var skipped int
			fmt.Sscan(skip[1], &skipped)
			// The full playlist with the first segments and the init section cut out is the delta update.
			head, rest, found := strings.Cut(full, "#EXT-X-MAP:URI=\"init.mp4\"\n")
			require.True(t, found)
			for range skipped {
				_, rest, found = strings.Cut(rest, ".m4s\n")
				require.True(t, found)
			}
			require.Equal(t, head+skip[0]+rest, delta)
			left := float64(strings.Count(rest, "#EXTINF"))*1.92 + float64((k+1)%partsPerSegment)*0.32
			require.GreaterOrEqual(t, left+1e-9, float64(skipBoundary))
			require.Less(t, left-1.92, float64(skipBoundary), "no more than must be")
		}
	})
}

func TestDeliveryDirectives(t *testing.T) {
	const last = 600*partsPerSegment + 1 // segment 600 has two parts
	tests := map[string]struct {
		query string
		part  int64 // -1: no waiting; -2: refused
	}{
		"none":                          {"", -1},
		"a viewer's own":                {"a=b&_HLS_other=1", -1},
		"next part":                     {"_HLS_msn=600&_HLS_part=2", last + 1},
		"whole segment":                 {"_HLS_msn=600", 600*partsPerSegment + 5},
		"part beyond the last":          {"_HLS_msn=600&_HLS_part=6", 601 * partsPerSegment},
		"part far beyond the last":      {"_HLS_msn=600&_HLS_part=99", 601 * partsPerSegment},
		"long past":                     {"_HLS_msn=5&_HLS_part=0", 5 * partsPerSegment},
		"limit of parts":                {"_HLS_msn=601&_HLS_part=4", last + advanceLimit},
		"beyond the limit of parts":     {"_HLS_msn=601&_HLS_part=5", -2},
		"limit of segments":             {"_HLS_msn=602", 602*partsPerSegment + 5},
		"beyond the limit of segments":  {"_HLS_msn=603", -2},
		"as far as there are numbers":   {"_HLS_msn=9223372036854775807&_HLS_part=0", -2},
		"part as far":                   {"_HLS_msn=600&_HLS_part=9223372036854775807", 601 * partsPerSegment},
		"further than there are":        {"_HLS_msn=9223372036854775808", -2},
		"part without segment":          {"_HLS_part=0", -2},
		"part without segment, skipped": {"_HLS_part=0&_HLS_skip=YES", -2},
		"negative":                      {"_HLS_msn=-1", -2},
		"negative part":                 {"_HLS_msn=600&_HLS_part=-1", -2},
		"no number":                     {"_HLS_msn=x", -2},
		"empty":                         {"_HLS_msn=&_HLS_part=", -2},
	}
	for name, tt := range tests {
		q, err := url.ParseQuery(tt.query)
		require.NoError(t, err)
		d, err := parseDirectives(q, last)
		if tt.part == -2 {
			require.ErrorIs(t, err, errDirectives, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, tt.part, d.part, name)
	}
	for value, skip := range map[string]bool{"YES": true, "v2": false, "NO": false, "": false} {
		d, err := parseDirectives(url.Values{"_HLS_skip": {value}}, last)
		require.NoError(t, err)
		require.Equal(t, skip, d.skip, value)
	}
}

func TestABadDirectiveIsAnsweredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, h := lowOrigin(t)
		began := time.Now()
		require.Equal(t, http.StatusBadRequest, get(h, fmt.Sprintf("/live/v0/index.m3u8?_HLS_msn=%d", o.edge()+9)).Code)
		require.Equal(t, http.StatusBadRequest, get(h, "/live/v0/index.m3u8?_HLS_part=1").Code)
		require.Equal(t, 2*distance, time.Since(began))
		require.Equal(t, http.StatusOK, get(h, "/live/ts/v0/index.m3u8?_HLS_part=1").Code, "no parts, no directives")
	})
}

func TestNoPartBeforeItIsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, h := lowOrigin(t)
		for range 7 {
			k := o.lastPart() + 2
			o.at(k-1, 0)
			w := get(h, "/live/a0/"+partName(k)) // hinted at
			require.Equal(t, http.StatusOK, w.Code)
			require.Equal(t, "audio/mp4", w.Header().Get("Content-Type"))
			require.Equal(t, o.epoch.Add(time.Duration(k+1)*partTime), time.Now().UTC(), "held until it is whole")
			require.Equal(t, w.Body.Bytes(), get(h, "/live/a0/"+partName(k)).Body.Bytes())
		}
		for name, path := range map[string]func(last, n int64) string{
			"not hinted at yet": func(last, n int64) string { return "/live/a0/" + partName(last+2) },
			"other spelling":    func(last, n int64) string { return fmt.Sprintf("/live/a0/%d.0%d.m4s", n, last%partsPerSegment) },
			"no such part":      func(last, n int64) string { return fmt.Sprintf("/live/a0/%d.6.m4s", n-1) },
			"negative":          func(last, n int64) string { return fmt.Sprintf("/live/a0/%d.-1.m4s", n) },
			"long gone":         func(last, n int64) string { return fmt.Sprintf("/live/a0/%d.0.m4s", n-window-kept-2) },
			"no parts of TS":    func(last, n int64) string { return fmt.Sprintf("/live/ts/a0/%d.0.ts", n-1) },
		} {
			last := o.lastPart() + 1
			o.at(last, 0)
			require.Equal(t, http.StatusNotFound, get(h, path(last, last/partsPerSegment)).Code, name)
		}
	})
}

func TestTheOriginDoesNotWaitForAPlayerThatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, h := lowOrigin(t)
		k := o.lastPart() + advanceLimit
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			path := fmt.Sprintf("/live/v0/index.m3u8?_HLS_msn=%d&_HLS_part=%d", k/partsPerSegment, k%partsPerSegment)
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
		}()
		time.Sleep(2 * distance)
		began := time.Now()
		cancel()
		<-gone
		require.Zero(t, time.Since(began))
	})
}
