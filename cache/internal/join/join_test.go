package join_test

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/hlsproxy/hlsproxy/cache/internal/join"
	"github.com/stretchr/testify/require"
)

// pack is a TS packet.
func pack(pid int, starts, random bool, payload ...byte) []byte {
	p := bytes.Repeat([]byte{0xff}, 188)
	p[0], p[1], p[2], p[3] = 0x47, byte(pid>>8), byte(pid), 0x30
	if starts {
		p[1] |= 0x40
	}
	p[4], p[5] = 7, 0
	if random {
		p[5] = 0x40
	}
	copy(p[12:], payload)
	return p
}

// section is a table in one packet.
func section(pid int, id byte, body ...byte) []byte {
	payload := append([]byte{0, id, 0xb0, byte(5 + len(body) + 4), 0, 1, 0xc1, 0, 0}, body...)
	return pack(pid, true, false, append(payload, 1, 2, 3, 4)...)
}

var (
	pat      = section(0, 0, 0, 1, 0xe1, 0x00)
	pmtVideo = section(0x100, 2, 0xe1, 0x01, 0xf0, 0, 0x0f, 0xe1, 0x02, 0xf0, 0, 0x1b, 0xe1, 0x01, 0xf0, 0)
	pmtAudio = section(0x100, 2, 0xe1, 0x02, 0xf0, 0, 0x0f, 0xe1, 0x02, 0xf0, 0)
)

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func tag(kind byte, body ...byte) []byte {
	t := []byte{kind, 0, 0, byte(len(body)), 0, 0, 0, 0, 0, 0, 0}
	return binary.BigEndian.AppendUint32(append(t, body...), uint32(11+len(body)))
}

func adts(n int) []byte {
	f := make([]byte, n)
	copy(f, []byte{0xff, 0xf1, 0x50, 0x80 | byte(n>>11), byte(n >> 3), byte(n<<5) | 0x1f, 0xfc})
	return f
}

func mp3() []byte {
	f := make([]byte, 417) // 128 kbit/s, 44.1 kHz
	copy(f, []byte{0xff, 0xfb, 0x90, 0})
	return f
}

var (
	flvHead  = []byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00")
	metadata = tag(18, 2, 0, 10)
	avcHead  = tag(9, 0x17, 0, 0, 0, 0, 1)
	aacHead  = tag(8, 0xaf, 0, 0x12, 0x10)
	keyFrame = tag(9, 0x17, 1, 0, 0, 0, 9)
	picture  = tag(9, 0x27, 1, 0, 0, 0, 9)
	sound    = tag(8, 0xaf, 1, 9)
	id3      = append([]byte("ID3\x04\x00\x00\x00\x00\x01\x00"), make([]byte, 128)...)
	filler   = bytes.Repeat(pack(0x102, true, true), 10)
)

type row struct {
	stream []byte
	off    int    // where to join; -1: nowhere
	prefix []byte // sent first
}

func rows() map[string]row {
	video := func(random bool) []byte { return pack(0x101, true, random) }
	ts := cat(pat, pmtVideo, video(true), filler, video(true), filler, video(false), filler)
	cut := cat(pat[100:], ts)
	flv := cat(flvHead, metadata, avcHead, aacHead, keyFrame, sound, picture, keyFrame, picture, sound)
	hevc := tag(9, 0x90, 'h', 'v', 'c', '1', 1) // Enhanced RTMP: a sequence start, then a key frame
	hevcKey := tag(9, 0x91, 'h', 'v', 'c', '1', 1)
	return map[string]row{
		"TS":                    {ts, 188 * 13, cat(pat, pmtVideo)},
		"TS that begins cut":    {cut, 88 + 188*13, cat(pat, pmtVideo)},
		"TS of sound alone":     {cat(pat, pmtAudio, filler), 188 * 10, cat(pat, pmtAudio)},
		"TS without tables":     {cat(filler, filler), -1, nil},
		"TS with other tables":  {cat(ts, pat, pmtAudio, filler), 188 * 45, cat(pat, pmtAudio)},
		"FLV":                   {flv, len(flv) - len(keyFrame) - len(picture) - len(sound), cat(flvHead, metadata, avcHead, aacHead)},
		"FLV of sound alone":    {cat([]byte("FLV\x01\x04\x00\x00\x00\x09\x00\x00\x00\x00"), aacHead, sound, sound), 13 + len(aacHead) + len(sound), cat([]byte("FLV\x01\x04\x00\x00\x00\x09\x00\x00\x00\x00"), aacHead)},
		"FLV of HEVC":           {cat(flvHead, hevc, hevcKey, picture), 13 + len(hevc), cat(flvHead, hevc)},
		"FLV before a picture":  {cat(flvHead, metadata, avcHead), -1, nil},
		"FLV broken in between": {cat(flv, tag(1, 0, 0), flv[len(flvHead):]), -1, nil},
		"FLV that is broken":    {cat(flv, []byte("what is this, and what is it for?")), -1, nil},
		"ADTS":                  {cat(adts(200), adts(300), adts(250), adts(100)), 750, nil},
		"ADTS behind a tag":     {cat(id3, adts(200), adts(300), adts(250), adts(100)), 138 + 750, nil},
		"ADTS that begins cut":  {cat(adts(200)[50:], adts(300), adts(250), adts(100), adts(90)), 150 + 650, nil},
		"MP3":                   {bytes.Repeat(mp3(), 5), 4 * 417, nil},
		"MP3 with a tag in it":  {cat(bytes.Repeat(mp3(), 5), id3, bytes.Repeat(mp3(), 3)), 7*417 + 138, nil},
		"text":                  {bytes.Repeat([]byte("text "), 1000), -1, nil},
		"nothing":               {nil, -1, nil},
	}
}

func TestPoints(t *testing.T) {
	for name, row := range rows() {
		t.Run(name, func(t *testing.T) {
			for _, piece := range []int{1, 7, 188, 1000, 1 << 20} {
				var s join.Scanner
				for p := range chunks(row.stream, piece) {
					n, err := s.Write(p)
					require.NoError(t, err)
					require.Equal(t, len(p), n)
				}
				off, ok := s.Point()
				require.Equal(t, row.off >= 0, ok, "in pieces of %d", piece)
				if ok {
					require.EqualValues(t, row.off, off, "in pieces of %d", piece)
					require.Equal(t, string(row.prefix), string(s.Prefix()))
				}
			}
		})
	}
}

func chunks(p []byte, n int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(p) > 0 {
			m := min(n, len(p))
			if !yield(p[:m]) {
				return
			}
			p = p[m:]
		}
	}
}

// A stream that comes byte by byte costs no more than its bytes. A tag is not kept, however long it claims to be.
func TestWhatIsNotKnownYetIsNotKept(t *testing.T) {
	tag := append([]byte("ID3\x04\x00\x00\x7f\x7f\x7f\x7f"), make([]byte, 1<<20)...)
	for name, stream := range map[string][]byte{"silence": make([]byte, 1<<20), "a long tag": tag} {
		t.Run(name, func(t *testing.T) {
			var s join.Scanner
			allocated := testing.AllocsPerRun(1, func() {
				for p := range chunks(stream, 1) {
					s.Write(p)
				}
			})
			require.Less(t, allocated, 100.0)
			_, ok := s.Point()
			require.False(t, ok)
		})
	}
}

// A stream of nothing but tables and points costs no more than any other until a viewer comes.
func TestPointsCostNothingWhileNobodyComes(t *testing.T) {
	large := func(kind byte, first ...byte) []byte {
		body := append(first, make([]byte, 60<<10)...)
		t := append([]byte{kind, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, make([]byte, 7)...)
		return binary.BigEndian.AppendUint32(append(t, body...), uint32(11+len(body)))
	}
	var programs, maps []byte
	for i := range 60 {
		pid := 0x200 + i
		programs = append(programs, 0, byte(i+1), 0xe0|byte(pid>>8), byte(pid))
		maps = append(maps, longSection(pid, 2, 800)...)
	}
	tables := cat(longPAT(programs), maps)
	for name, row := range map[string]struct {
		head, again []byte
		most        float64 // allocated bytes for one of again
	}{
		"FLV": {cat(flvHead, large(18, 2, 0), large(9, 0x17, 0), large(8, 0xaf, 0)), keyFrame, 500},
		"TS":  {tables, cat(longPAT(programs), pack(1, true, true)), 5000},
	} {
		t.Run(name, func(t *testing.T) {
			var s join.Scanner
			s.Write(row.head)
			stream := bytes.Repeat(row.again, 1000)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for p := range chunks(stream, len(row.again)) {
				s.Write(p)
			}
			runtime.ReadMemStats(&after)
			require.Less(t, float64(after.TotalAlloc-before.TotalAlloc)/1000, row.most)
			_, ok := s.Point()
			require.True(t, ok)
			require.Greater(t, len(s.Prefix()), 100<<10)
		})
	}
}

// longSection is a programme map with this many video streams, whose PIDs count up from 1.
func longSection(pid int, id byte, streams int) (packets []byte) {
	body := []byte{0xe0, 1, 0xf0, 0}
	for i := range streams {
		body = append(body, 0x1b, 0xe0|byte((i+1)>>8), byte(i+1), 0xf0, 0)
	}
	return split(pid, id, body)
}

func longPAT(programs []byte) []byte { return split(0, 0, programs) }

// split is a table in as many packets as it needs.
func split(pid int, id byte, body []byte) (packets []byte) {
	n := 5 + len(body) + 4
	payload := append([]byte{0, id, 0xb0 | byte(n>>8), byte(n), 0, 1, 0xc1, 0, 0}, append(body, 1, 2, 3, 4)...)
	for first := true; len(payload) > 0; first = false {
		p := bytes.Repeat([]byte{0xff}, 188)
		p[0], p[1], p[2], p[3] = 0x47, byte(pid>>8), byte(pid), 0x10
		if first {
			p[1] |= 0x40
		}
		payload = payload[copy(p[4:], payload):]
		packets = append(packets, p...)
	}
	return packets
}

// However a stream is cut into pieces, the points are the same, lie within the stream, and cost no more than its bytes.
func FuzzScanner(f *testing.F) {
	for _, row := range rows() {
		f.Add(row.stream, uint16(100))
	}
	f.Fuzz(func(t *testing.T, stream []byte, piece uint16) {
		var whole, parts join.Scanner
		for p := range chunks(stream, int(piece)%500+1) {
			parts.Write(p)
		}
		whole.Write(stream)
		off, ok := whole.Point()
		off2, ok2 := parts.Point()
		prefix := whole.Prefix()
		require.Equal(t, ok, ok2)
		require.Equal(t, off, off2)
		require.Equal(t, prefix, parts.Prefix())
		require.True(t, !ok || off >= 0 && off < int64(len(stream)))
		require.LessOrEqual(t, len(prefix), len(stream)*4)
	})
}
