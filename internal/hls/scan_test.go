package hls_test

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/stretchr/testify/require"
)

func TestScan(t *testing.T) {
	live := hls.Info{Target: 6 * time.Second, MediaSequence: 42}
	one := live
	one.Segments = 1
	ended := live
	ended.EndList = true
	for _, c := range []struct {
		name, text string
		want       hls.Info
		err        error
	}{
		{"live", "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:42\n#EXTINF:6,\na.ts\n", one, nil},
		{"lines that end with CRLF", "#EXTM3U\r\n#EXT-X-TARGETDURATION:6\r\n#EXT-X-MEDIA-SEQUENCE:42\r\n", live, nil},
		{"lines that end with CR", "#EXTM3U\r#EXT-X-TARGETDURATION:6\r#EXT-X-MEDIA-SEQUENCE:42\r#EXT-X-ENDLIST", ended, nil},
		{"a byte order mark and blank lines", "\ufeff\n\n#EXTM3U\n#EXT-X-TARGETDURATION: 6\n#EXT-X-MEDIA-SEQUENCE: 42\n", live, nil},
		{"ended", "#EXTM3U\n#EXT-X-TARGETDURATION:6.0\n#EXT-X-MEDIA-SEQUENCE:42\n#EXT-X-ENDLIST\n", ended, nil},
		{"lines longer than the buffer", "#EXTM3U\n" + strings.Repeat("x", 70_000) + "\n#EXT-X-ENDLIST", hls.Info{EndList: true, Segments: 1}, nil},
		{"VOD", "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:VOD\n", hls.Info{VOD: true}, nil},
		{"event", "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:EVENT\n", hls.Info{}, nil},
		{"multivariant", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n", hls.Info{Multivariant: true, Segments: 1}, nil},
		{"a tag that only begins like another", "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-ENDLISTS\n", hls.Info{MediaSequence: 1}, nil},
		{"numbers that are none", "#EXTM3U\n#EXT-X-TARGETDURATION:NaN\n#EXT-X-MEDIA-SEQUENCE:-7\n", hls.Info{}, nil},
		{"numbers too large", "#EXTM3U\n#EXT-X-TARGETDURATION:1e300\n#EXT-X-MEDIA-SEQUENCE:99999999999999999999\n", hls.Info{}, nil},
		{"parts", "#EXTM3U\n#EXT-X-PART-INF:PART-TARGET=0.5\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-DISCONTINUITY-SEQUENCE:3\n#EXT-X-PART:URI=\"1\"\na.ts\n \n" +
			"#EXT-X-PART:URI=\"2\"\n#EXT-X-PART:URI=\"3\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"4\"\n",
			hls.Info{PartTarget: time.Second / 2, MediaSequence: 7, Discontinuity: 3, Segments: 1, Parts: 2}, nil},
		{"a delta update", "#EXTM3U\n#EXT-X-SKIP:RECENTLY-REMOVED-DATERANGES=\"a\",SKIPPED-SEGMENTS=5\na.ts\n", hls.Info{Segments: 6}, nil},
		{"only the signature", "#EXTM3U", hls.Info{}, nil},
		{"a page", "<html>", hls.Info{}, hls.ErrNoPlaylist},
		{"half the signature", "#EXTM", hls.Info{}, hls.ErrNoPlaylist},
		{"nothing", "", hls.Info{}, hls.ErrNoPlaylist},
		{"blanks without end", strings.Repeat("\n", 100_000), hls.Info{}, hls.ErrNoPlaylist},
	} {
		got, err := hls.Scan(strings.NewReader(c.text))
		require.ErrorIs(t, err, c.err, c.name)
		require.Equal(t, c.want, got, c.name)
		if len(c.text) < 1000 {
			got, err = hls.Scan(iotest.OneByteReader(strings.NewReader(c.text)))
			require.ErrorIs(t, err, c.err, c.name)
			require.Equal(t, c.want, got, c.name)
		}
	}
	require.True(t, ended.Ended())
	require.False(t, hls.Info{VOD: true}.Ended(), "it grows")
	require.False(t, live.Ended())
}

func TestHolds(t *testing.T) {
	list := hls.Info{MediaSequence: 10, Segments: 3, Parts: 2} // segments 10 to 12, and parts 0 and 1 of 13
	for query, want := range map[string]bool{
		"_HLS_msn=9": true, "_HLS_msn=12": true, "_HLS_msn=12&_HLS_part=99": true, "_HLS_msn=13": false, "_HLS_msn=13&_HLS_part=1": true,
		"_HLS_msn=13&_HLS_part=2": false, "_HLS_msn=14&_HLS_part=0": false, "": true,
	} {
		require.Equal(t, want, list.Holds(hls.ReloadOf(query)), query)
	}
}

func TestIsChannel(t *testing.T) {
	for _, c := range []struct {
		list hls.Info
		want bool
	}{
		{hls.Info{}, true},
		{hls.Info{VOD: true}, true},
		{hls.Info{EndList: true}, false},
		{hls.Info{EndList: true, MediaSequence: 1}, false},
		{hls.Info{EndList: true, MediaSequence: 7}, true},
		{hls.Info{EndList: true, VOD: true, MediaSequence: 7}, false},
		{hls.Info{Multivariant: true}, false},
	} {
		require.Equal(t, c.want, c.list.IsChannel(), "%+v", c.list)
	}
}

func TestScanReportsWhatItHasReadBeforeAnError(t *testing.T) {
	broken := errors.New("broken")
	r := iotest.DataErrReader(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("#EXTM3U\n"))))
	_, err := hls.Scan(r)
	require.ErrorIs(t, err, iotest.ErrTimeout)
	info, err := hls.Scan(readers("#EXTM3U\n#EXT-X-ENDLIST\n", broken))
	require.ErrorIs(t, err, broken)
	require.True(t, info.EndList)
}

func readers(text string, err error) *failing { return &failing{strings.NewReader(text), err} }

type failing struct {
	*strings.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	if f.Len() == 0 {
		return 0, f.err
	}
	return f.Reader.Read(p)
}

func FuzzScan(f *testing.F) {
	f.Add("#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:42\n#EXT-X-ENDLIST\n")
	f.Add("\ufeff\r\r#EXTM3U\r#EXT-X-PLAYLIST-TYPE:VOD")
	f.Fuzz(func(t *testing.T, text string) {
		info, err := hls.Scan(strings.NewReader(text))
		again, errAgain := hls.Scan(iotest.OneByteReader(strings.NewReader(text)))
		require.Equal(t, info, again)
		require.Equal(t, err, errAgain)
		is, _ := hls.StartsPlaylist([]byte(text))
		require.Equal(t, is, err == nil)
		require.True(t, info.Target >= 0 && info.MediaSequence >= 0)
	})
}
