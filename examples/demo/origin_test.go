package main

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/stretchr/testify/require"
)

func testOrigin(t *testing.T) (*liveOrigin, http.Handler) {
	t.Helper()
	o := newLiveOrigin(time.Now, false)
	h, err := o.handler()
	require.NoError(t, err)
	return o, h
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func decode(t *testing.T, body string) m3u8.Playlist {
	t.Helper()
	p, _, err := m3u8.DecodeFrom(strings.NewReader(body), true)
	require.NoError(t, err, body)
	return p
}

func mediaPlaylist(t *testing.T, h http.Handler, path string) *m3u8.MediaPlaylist {
	t.Helper()
	w := get(h, path)
	require.Equal(t, http.StatusOK, w.Code, path)
	require.Equal(t, "application/vnd.apple.mpegurl", w.Header().Get("Content-Type"))
	p, ok := decode(t, w.Body.String()).(*m3u8.MediaPlaylist)
	require.True(t, ok, path)
	return p
}

var trackRoots = []string{"/live/v0/", "/live/v1/", "/live/a0/", "/live/ts/v0/", "/live/ts/v1/", "/live/ts/a0/"}

// promise is the part of a playlist about one segment, which may never change (RFC 8216 section 6.2.1).
type promise struct {
	uri           string
	begins        time.Time
	discontinuous bool
	period        uint64 // Discontinuity Sequence Number
}

func TestPlaylistsAreRightOverSeveralLoops(t *testing.T) {
	for _, root := range trackRoots {
		t.Run(root, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { followLoops(t, root) })
		})
	}
}

func followLoops(t *testing.T, root string) {
	o, h := testOrigin(t)
	promises := map[uint64]promise{}
	var first uint64
	for range 4 * loopLength * 2 {
		p := mediaPlaylist(t, h, root+"index.m3u8")
		require.EqualValues(t, targetDuration, p.TargetDuration)
		require.False(t, p.Closed)
		segments := p.GetAllSegments()
		require.Len(t, segments, window)
		require.GreaterOrEqual(t, p.SeqNo, first)
		first = p.SeqNo
		period := p.DiscontinuitySeq
		for i, s := range segments {
			n := p.SeqNo + uint64(i)
			if s.Discontinuity {
				period++
			}
			now := promise{s.URI, s.ProgramDateTime.UTC(), s.Discontinuity, period}
			require.Equal(t, n%loopLength == 0, s.Discontinuity, "segment %d", n)
			require.Equal(t, n/loopLength, period, "segment %d", n)
			require.InDelta(t, segmentTime.Seconds(), s.Duration, 0.0005)
			require.Equal(t, o.epoch.Add(time.Duration(n)*segmentTime), now.begins)
			if before, known := promises[n]; known {
				require.Equal(t, before, now, "segment %d", n)
			}
			promises[n] = now
		}
		newest := o.epoch.Add(time.Duration(first+window) * segmentTime)
		require.WithinRange(t, time.Now(), newest, newest.Add(segmentTime))
		time.Sleep(segmentTime/2 - distance)
	}
	require.Len(t, promises, window+4*loopLength-1)
}

func TestAllTracksChangeAtTheSameInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newLiveOrigin(time.Now, false)
		edge := o.edge()
		time.Sleep(time.Until(o.epoch.Add(time.Duration(edge+2)*segmentTime)) - 1)
		require.Equal(t, edge, o.edge())
		time.Sleep(time.Nanosecond)
		require.Equal(t, edge+1, o.edge())
		again := newLiveOrigin(time.Now, false)
		require.Equal(t, o.edge(), again.edge(), "a restarted origin goes on with the same stream")
	})
}

func TestTheFirstSegmentsOfAllHaveNoDiscontinuityBeforeThem(t *testing.T) {
	tests := []struct{ first, gone int64 }{{0, 0}, {1, 0}, {5, 0}, {6, 1}, {10, 1}, {11, 2}, {21847, 4369}}
	for _, tt := range tests {
		require.EqualValues(t, tt.gone, discontinuitiesBefore(tt.first), "first segment %d", tt.first)
	}
	body, err := media(2, time.Now(), func(n int64) string { return fmt.Sprint(n, ".ts") }, "")
	require.NoError(t, err)
	require.NotContains(t, string(body), "DISCONTINUITY")
	require.Len(t, decode(t, string(body)).(*m3u8.MediaPlaylist).GetAllSegments(), 3)
}

func TestMultivariantPlaylistTellsTheTruth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := testOrigin(t)
		for _, root := range []string{"/live/", "/live/ts/"} {
			w := get(h, root+"master.m3u8")
			p, ok := decode(t, w.Body.String()).(*m3u8.MasterPlaylist)
			require.True(t, ok)
			require.Len(t, p.Variants, 2)
			sound := p.GetAllAlternatives()
			require.Len(t, sound, 1)
			mediaPlaylist(t, h, root+sound[0].URI)
			for _, v := range p.Variants {
				require.Equal(t, sound[0].GroupId, v.Audio)
				list := mediaPlaylist(t, h, root+v.URI)
				dir, _, _ := strings.Cut(v.URI, "/")
				for _, s := range list.GetAllSegments() {
					bits := 8 * get(h, root+dir+"/"+s.URI).Body.Len()
					require.Less(t, float64(bits)/s.Duration, float64(v.Bandwidth))
				}
			}
		}
	})
}

func TestCodecsAreThoseOfTheMedia(t *testing.T) {
	for _, v := range variants {
		track, err := loadFMP4(v.name)
		require.NoError(t, err)
		_, avcC, found := strings.Cut(string(track.init), "avcC")
		require.True(t, found)
		require.Equal(t, v.codec, fmt.Sprintf("avc1.%x", avcC[1:4]), "profile, constraints and level")
	}
}

func TestOnlySegmentsOfTheRecentPastExist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, h := testOrigin(t)
		time.Sleep(10 * time.Minute)
		tests := map[string]struct {
			path   string
			status int
			media  string
		}{
			"newest":           {fmt.Sprintf("/live/v0/%d.m4s", o.edge()), 200, "video/mp4"},
			"sound":            {fmt.Sprintf("/live/a0/%d.m4s", o.edge()), 200, "audio/mp4"},
			"transport stream": {fmt.Sprintf("/live/ts/a0/%d.ts", o.edge()), 200, "video/mp2t"},
			"init section":     {"/live/a0/init.mp4", 200, "audio/mp4"},
			"left the window":  {fmt.Sprintf("/live/v0/%d.m4s", o.edge()-window-1), 200, "video/mp4"},
			"long gone":        {fmt.Sprintf("/live/v0/%d.m4s", o.edge()-window-kept-1), 404, ""},
			"not yet":          {fmt.Sprintf("/live/v0/%d.m4s", o.edge()+2), 404, ""},
			"other spelling":   {fmt.Sprintf("/live/v0/0%d.m4s", o.edge()), 404, ""},
			"other extension":  {fmt.Sprintf("/live/v0/%d.ts", o.edge()), 404, ""},
			"negative":         {"/live/v0/-1.m4s", 404, ""},
			"no number":        {"/live/v0/x.m4s", 404, ""},
			"no track":         {"/live/v9/index.m3u8", 404, ""},
		}
		for name, tt := range tests {
			w := get(h, tt.path)
			require.Equal(t, tt.status, w.Code, name)
			if tt.media != "" {
				require.Equal(t, tt.media, w.Header().Get("Content-Type"), name)
				require.Equal(t, fmt.Sprint(w.Body.Len()), w.Header().Get("Content-Length"), name)
			}
		}
	})
}

func TestFragmentTimesNeverGoBack(t *testing.T) {
	for name, scale := range map[string]uint64{"v0": 12800, "v1": 12800, "a0": 48000} {
		track, err := loadFMP4(name)
		require.NoError(t, err)
		for _, n := range []int64{0, 4, 5, 6, 21847, 93_000_000} {
			b, err := track.segment(n)
			require.NoError(t, err)
			want := uint64(n) * scale * 192 / 100
			require.Equal(t, want, binary.BigEndian.Uint64(box(b, "moof", "traf", "tfdt")[4:]), "%s/%d", name, n)
			require.Equal(t, uint32(n*partsPerSegment+1), binary.BigEndian.Uint32(box(b, "moof", "mfhd")[4:]), "%s/%d", name, n)
		}
	}
}

func TestTransportStreamTimesNeverGoBack(t *testing.T) {
	const start = 126_000 // ffmpeg begins at 1.4 s
	for _, name := range []string{"v0", "v1", "a0"} {
		track, err := loadTS(name)
		require.NoError(t, err)
		counters := map[uint16]byte{}
		for n := range int64(4 * loopLength) {
			b, err := track.segment(n)
			require.NoError(t, err)
			require.Equal(t, start+uint64(n)*172_800, firstPTS(t, b), "%s/%d", name, n)
			requireContinuous(t, counters, b)
		}
		b, err := track.segment(100_000)
		require.NoError(t, err)
		require.Equal(t, uint64((start+100_000*172_800)&(1<<33-1)), firstPTS(t, b), "33 bits wrap")
	}
}

// firstPTS reads the time of the first PES packet as ISO/IEC 13818-1 section 2.4.3.6 spells it.
func firstPTS(t *testing.T, ts []byte) uint64 {
	t.Helper()
	_, after, found := strings.Cut(string(ts), "\x00\x00\x01\xe0")
	if !found {
		_, after, found = strings.Cut(string(ts), "\x00\x00\x01\xc0")
	}
	require.True(t, found)
	b := []byte(after[5:10])
	for _, marker := range []byte{b[0], b[2], b[4]} {
		require.EqualValues(t, 1, marker&1, "marker bits")
	}
	high, middle, low := uint64(b[0]>>1&7), uint64(binary.BigEndian.Uint16(b[1:])>>1), uint64(binary.BigEndian.Uint16(b[3:])>>1)
	return high<<30 | middle<<15 | low
}

func requireContinuous(t *testing.T, counters map[uint16]byte, ts []byte) {
	t.Helper()
	for ; len(ts) > 0; ts = ts[tsPacket:] {
		id, counter := pid(ts), ts[3]&0x0F
		if before, known := counters[id]; known && ts[3]&0x10 != 0 {
			require.Equal(t, (before+1)&0x0F, counter, "PID %d", id)
		}
		counters[id] = counter
	}
}

func TestMediaOfAnotherShapeIsAnError(t *testing.T) {
	_, err := newFMP4Retimer([]byte("\x00\x00\x00\x09moov\x00"))
	require.ErrorIs(t, err, errMedia)
	track, err := loadFMP4("v0")
	require.NoError(t, err)
	require.ErrorIs(t, track.retime([]byte("not boxes at all"), 1), errMedia)
	require.ErrorIs(t, newTSRetimer(nil)(make([]byte, tsPacket), 1), errMedia)
	_, err = loadFMP4("v9")
	require.Error(t, err)
}
