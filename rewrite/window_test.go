package rewrite_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// played is what a player has to know to play a segment.
type played struct {
	msn, discontinuity int
	uri                string
	from, length       int
	duration           string
	keys, section      string
	gap                bool
	date               time.Time
}

// play reads a media playlist as a player does.
func play(text string) (all []played) {
	var next played
	keys, offsets := map[string]string{}, map[string]int{}
	section := ""
	var date time.Time
	next.length = -1
	attr := func(line, name string) string {
		_, rest, ok := strings.Cut(line, name+"=\"")
		if !ok {
			_, rest, _ = strings.Cut(line, name+"=")
			rest, _, _ = strings.Cut(rest, ",")
			return rest
		}
		rest, _, _ = strings.Cut(rest, "\"")
		return rest
	}
	state := func() string {
		b := ""
		for _, f := range slices.Sorted(maps.Keys(keys)) {
			b += f + "=" + keys[f] + ";"
		}
		return b
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "#EXT-X-MEDIA-SEQUENCE":
			next.msn, _ = strconv.Atoi(value)
		case "#EXT-X-DISCONTINUITY-SEQUENCE":
			next.discontinuity, _ = strconv.Atoi(value)
		case "#EXT-X-DISCONTINUITY":
			next.discontinuity++
			date = time.Time{}
		case "#EXTINF":
			next.duration, _, _ = strings.Cut(value, ",")
		case "#EXT-X-GAP":
			next.gap = true
		case "#EXT-X-PROGRAM-DATE-TIME":
			date, _ = time.Parse(time.RFC3339Nano, value)
		case "#EXT-X-KEY":
			if attr(value, "METHOD") == "NONE" {
				clear(keys)
			} else {
				keys[attr(value, "KEYFORMAT")] = attr(value, "URI")
			}
		case "#EXT-X-MAP":
			section = attr(value, "URI") + " " + state()
		case "#EXT-X-BYTERANGE":
			n, o, ok := strings.Cut(value, "@")
			next.length, _ = strconv.Atoi(n)
			if next.from = -1; ok {
				next.from, _ = strconv.Atoi(o)
			}
		default:
			if line == "" || line[0] == '#' {
				continue
			}
			next.uri, next.keys, next.section, next.date = line, state(), section, date
			if next.length >= 0 {
				if next.from < 0 {
					next.from = offsets[line]
				}
				offsets = map[string]int{line: next.from + next.length}
			}
			all = append(all, next)
			seconds, _ := strconv.ParseFloat(next.duration, 64)
			if !date.IsZero() {
				date = date.Add(time.Duration(seconds * 1e9).Round(time.Microsecond))
			}
			next = played{msn: next.msn + 1, discontinuity: next.discontinuity, length: -1}
		}
	}
	return all
}

// stream makes up a long stream. Each segment is a few lines.
func stream(rnd *rand.Rand, n int) (all []string) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for i := range n {
		var b strings.Builder
		if rnd.IntN(9) == 0 {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
			fmt.Fprintf(&b, "#EXT-X-PROGRAM-DATE-TIME:%s\n", at.Format("2006-01-02T15:04:05.000Z07:00"))
		} else if i == 0 || rnd.IntN(7) == 0 {
			fmt.Fprintf(&b, "#EXT-X-PROGRAM-DATE-TIME:%s\n", at.Format("2006-01-02T15:04:05.000Z07:00"))
		}
		switch rnd.IntN(12) {
		case 0:
			fmt.Fprintf(&b, "#EXT-X-KEY:METHOD=AES-128,URI=\"k%d\"\n", i)
		case 1:
			fmt.Fprintf(&b, "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"d%d\",KEYFORMAT=\"com.x\"\n", i)
		case 2:
			b.WriteString("#EXT-X-KEY:METHOD=NONE\n")
		}
		if rnd.IntN(8) == 0 {
			fmt.Fprintf(&b, "#EXT-X-MAP:URI=\"i%d.mp4\"\n", i)
		}
		if rnd.IntN(15) == 0 {
			b.WriteString("#EXT-X-GAP\n# a comment\n")
		}
		millis := 1000 + rnd.IntN(5)*500
		at = at.Add(time.Duration(millis) * time.Millisecond)
		uri := fmt.Sprintf("s%d.ts", i)
		if rnd.IntN(2) == 0 {
			uri = fmt.Sprintf("all%d.mp4", i/10)
			if rnd.IntN(3) == 0 || i == 0 || !strings.HasSuffix(all[i-1], "\n"+uri+"\n") {
				fmt.Fprintf(&b, "#EXT-X-BYTERANGE:%d@%d\n", 100+i, i*1000)
			} else {
				fmt.Fprintf(&b, "#EXT-X-BYTERANGE:%d\n", 100+i)
			}
		}
		fmt.Fprintf(&b, "#EXTINF:%d.%03d,title\n%s\n", millis/1000, millis%1000, uri)
		all = append(all, b.String())
	}
	return all
}

func window(t testing.TB, w rewrite.Window, text string) string {
	return rewritten(t, &rewrite.Rewriter{Map: identity{}, Window: w}, text, "")
}

// A player that is given the window plays what it would have played of these segments.
func TestAWindowPlaysItsSegments(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		n := 1 + rnd.IntN(30)
		text := "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:17\n#EXT-X-DISCONTINUITY-SEQUENCE:3\n# about\n" + strings.Join(stream(rnd, n), "") + "#EXT-X-ENDLIST\n"
		whole := play(text)
		require.Len(t, whole, n)
		for keep := 1; keep <= n+1; keep++ {
			out := window(t, rewrite.Window{Segments: keep}, text)
			require.Equal(t, whole[max(n-keep, 0):], play(out), "%s\n%s", text, out)
			require.True(t, strings.HasSuffix(out, "#EXT-X-ENDLIST\n"))
		}
		from, to := time.Duration(rnd.IntN(60))*time.Second, time.Duration(rnd.IntN(60))*time.Second
		out := play(window(t, rewrite.Window{From: from, To: to}, text))
		require.NotEmpty(t, out)
		first := out[0].msn - 17
		require.Equal(t, whole[first:first+len(out)], out)
	}
}

// A client that polls a moving window sees nothing change that was there.
func TestAMovingWindowStaysAPlaylist(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	all := stream(rnd, 3000)
	known := map[int]played{}
	lastFirst, lastEnd, discontinuities := 0, 0, 0
	head := ""
	for end := 30; end < len(all); end++ {
		begin := end - 30
		if begin > 0 {
			discontinuities += strings.Count(all[begin-1], "#EXT-X-DISCONTINUITY\n")
		}
		head = fmt.Sprintf("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-DISCONTINUITY-SEQUENCE:%d\n", begin, discontinuities)
		text := head + explicit(all, begin) + strings.Join(all[begin+1:end], "")
		got := play(window(t, rewrite.Window{Segments: 6}, text))
		require.Len(t, got, 6)
		require.GreaterOrEqual(t, got[0].msn, lastFirst)
		require.Equal(t, end, got[5].msn+1)
		lastFirst, lastEnd = got[0].msn, end
		for _, p := range got {
			p.keys, p.section, p.date = "", "", time.Time{} // what the origin itself forgets with its first segments
			if was, ok := known[p.msn]; ok {
				require.Equal(t, was, p)
			}
			known[p.msn] = p
		}
	}
	require.Equal(t, len(all)-1, lastEnd)
}

// What was read of a playlist that moves on is kept for as long as there is room. Then it is all read again.
func TestAWindowThatMovesOnForLong(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 11))
	all := stream(rnd, 900)
	for i, s := range all {
		all[i] = strings.Replace(s, "#EXTINF", "# "+strings.Repeat("x", 700)+"\n#EXTINF", 1)
	}
	rw := &rewrite.Rewriter{Map: identity{}, Window: rewrite.Window{Segments: 6}}
	var reloads, cut []string
	for begin := 0; begin+40 < len(all); begin += 1 + begin%3 {
		first := ""
		if begin%5 == 0 {
			first = "#EXT-X-KEY:METHOD=AES-128,URI=\"first\"\n#EXT-X-MAP:URI=\"first.mp4\"\n"
		}
		reloads = append(reloads, fmt.Sprintf("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:%d\n", begin)+first+strings.Join(all[begin:begin+40], ""))
		cut = append(cut, rewritten(t, rw, reloads[len(reloads)-1], ""))
	}
	for i, next := range reloads {
		// Lines that end otherwise are all read again.
		other := rewritten(t, rw, strings.ReplaceAll(next, "\n", "\r\n"), "")
		require.Equal(t, cut[i], strings.ReplaceAll(other, "\r", ""))
	}
}

// explicit is a segment with its byte range spelled out, as an origin does when it is the first.
func explicit(all []string, i int) string {
	p := play(strings.Join(all[max(i-20, 0):i+1], ""))
	last := p[len(p)-1]
	if last.length < 0 || strings.Contains(all[i], "@") {
		return all[i]
	}
	return strings.Replace(all[i], fmt.Sprintf("BYTERANGE:%d\n", last.length), fmt.Sprintf("BYTERANGE:%d@%d\n", last.length, last.from), 1)
}

func TestWindow(t *testing.T) {
	const s = "#EXTINF:4,\n"
	start := -6.5
	for name, c := range map[string]struct {
		w        rewrite.Window
		in, want string
	}{
		"all":             {rewrite.Window{Segments: 9}, "#EXTM3U\n" + s + "a\n", "#EXTM3U\n" + s + "a\n"},
		"no sequence yet": {rewrite.Window{Segments: 1}, "#EXTM3U\n" + s + "a\n" + s + "b\n", "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:1\n" + s + "b\n"},
		"an event":        {rewrite.Window{Segments: 1}, "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-MEDIA-SEQUENCE:0\n" + s + "a\n" + s + "b\n", "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:1\n" + s + "b\n"},
		"a film":          {rewrite.Window{From: 5 * time.Second, To: 9 * time.Second}, "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:VOD\n" + s + "a\n" + s + "b\n" + s + "c\n" + s + "d\n#EXT-X-ENDLIST\n", "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MEDIA-SEQUENCE:1\n" + s + "b\n" + s + "c\n#EXT-X-ENDLIST\n"},
		"seconds":         {rewrite.Window{Last: 5 * time.Second}, "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:9\n" + s + "a\n" + s + "b\n" + s + "c\n", "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:10\n" + s + "b\n" + s + "c\n"},
		"beyond the end":  {rewrite.Window{From: time.Hour}, "#EXTM3U\n" + s + "a\n" + s + "b\n", "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:1\n" + s + "b\n"},
		"the start moves": {rewrite.Window{Segments: 2}, "#EXTM3U\n#EXT-X-START:TIME-OFFSET=5.5,PRECISE=YES\n#EXT-X-MEDIA-SEQUENCE:1\n" + s + "a\n" + s + "b\n" + s + "c\n", "#EXTM3U\n#EXT-X-START:TIME-OFFSET=1.5,PRECISE=YES\n#EXT-X-MEDIA-SEQUENCE:2\n" + s + "b\n" + s + "c\n"},
		"and out":         {rewrite.Window{Segments: 1}, "#EXTM3U\n#EXT-X-START:TIME-OFFSET=3\n#EXT-X-MEDIA-SEQUENCE:1\n" + s + "a\n" + s + "b\n", "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:2\n" + s + "b\n"},
		"a start is set":  {rewrite.Window{Start: &start}, "#EXTM3U\n" + s + "a\n", "#EXTM3U\n#EXT-X-START:TIME-OFFSET=-6.5\n" + s + "a\n"},
		"and changed":     {rewrite.Window{Start: &start}, "#EXTM3U\n#EXT-X-START:TIME-OFFSET=3,PRECISE=NO\n" + s + "a\n", "#EXTM3U\n#EXT-X-START:TIME-OFFSET=-6.5,PRECISE=NO\n" + s + "a\n"},
		"and removed":     {rewrite.Window{NoStart: true}, "#EXTM3U\n#EXT-X-START:TIME-OFFSET=3\n" + s + "a\n", "#EXTM3U\n" + s + "a\n"},
		"low latency": {rewrite.Window{Segments: 1},
			"#EXTM3U\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24,PART-HOLD-BACK=1\n#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-PART:DURATION=1,URI=\"a1\"\n" + s + "a\n#EXT-X-PART:DURATION=1,URI=\"b1\"\n" + s + "b\n#EXT-X-PART:DURATION=1,URI=\"c1\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"c2\"\n#EXT-X-RENDITION-REPORT:URI=\"r\",LAST-MSN=2\n",
			"#EXTM3U\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1\n#EXT-X-MEDIA-SEQUENCE:2\n#EXT-X-PART:DURATION=1,URI=\"b1\"\n" + s + "b\n#EXT-X-PART:DURATION=1,URI=\"c1\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"c2\"\n#EXT-X-RENDITION-REPORT:URI=\"r\",LAST-MSN=2\n"},
		"a delta update":  {rewrite.Window{Segments: 4}, "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:10\n#EXT-X-SKIP:SKIPPED-SEGMENTS=5\n" + s + "a\n" + s + "b\n", "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:13\n#EXT-X-SKIP:SKIPPED-SEGMENTS=2\n" + s + "a\n" + s + "b\n"},
		"more than that":  {rewrite.Window{Segments: 1}, "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:10\n#EXT-X-SKIP:SKIPPED-SEGMENTS=5\n" + s + "a\n" + s + "b\n", "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:16\n" + s + "b\n"},
		"parts in ranges": {rewrite.Window{Segments: 1}, "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-PART:DURATION=1,URI=\"f\",BYTERANGE=\"10@0\"\n" + s + "a\n#EXT-X-PART:DURATION=1,URI=\"f\",BYTERANGE=\"5\"\n#EXT-X-PART:DURATION=1,URI=\"f\",BYTERANGE=\"6\"\n" + s + "b\n", ""},
		"variables and dates stay": {rewrite.Window{Segments: 1}, "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:1\n" + s + "a\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"\n#EXT-X-DATERANGE:ID=\"1\",START-DATE=\"2026-01-01T00:00:00Z\"\n# note\n" + s + "b\n" + s + "c\n",
			"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:3\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"\n#EXT-X-DATERANGE:ID=\"1\",START-DATE=\"2026-01-01T00:00:00Z\"\n" + s + "c\n"},
		"one key is the other": {rewrite.Window{Segments: 1}, "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-KEY:METHOD=AES-128,URI=\"1\",KEYFORMAT=\"identity\"\n" + s + "a\n#EXT-X-KEY:METHOD=AES-128,URI=\"2\"\n" + s + "b\n" + s + "c\n",
			"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:3\n#EXT-X-KEY:METHOD=AES-128,URI=\"2\"\n" + s + "c\n"},
		"a key for each": {rewrite.Window{Segments: 1}, "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-KEY:METHOD=AES-128,URI=\"1\"\n" + s + "a\n#EXT-X-KEY:METHOD=AES-128,URI=\"2\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"3\",KEYFORMAT=\"x\"\n" + s + "b\n#EXT-X-KEY:METHOD=AES-128,URI=\"4\"\n" + s + "c\n" + s + "d\n",
			"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:4\n#EXT-X-KEY:METHOD=AES-128,URI=\"4\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"3\",KEYFORMAT=\"x\"\n" + s + "d\n"},
		"a multivariant playlist": {rewrite.Window{Segments: 1}, ladder, ladder},
		"no playlist":             {rewrite.Window{Segments: 1}, "a\nb\n", "b\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got := window(t, c.w, c.in)
			if c.want == "" {
				require.Contains(t, got, "BYTERANGE=\"5@10\"\n")
				require.Contains(t, got, "BYTERANGE=\"6\"\n")
				return
			}
			if name == "no playlist" {
				require.True(t, strings.HasSuffix(got, "b\n"))
				return
			}
			require.Equal(t, c.want, got)
		})
	}
	_, err := (&rewrite.Rewriter{Window: rewrite.Window{Last: time.Second}}).Append(t.Context(), nil, []byte("#EXTM3U\n#EXT-X-SKIP:SKIPPED-SEGMENTS=5\n"+s+"a\n"), "")
	require.Equal(t, 502, status(err))
}

// What hls-m3u8 reads of a window is what it reads of the whole.
func TestAnotherParserReadsWindows(t *testing.T) {
	for name, text := range samples(t) {
		p, kind, err := m3u8.DecodeFrom(strings.NewReader(string(text)), false)
		if err != nil || kind != m3u8.MEDIA || strings.Contains(string(text), "#EXT-X-SKIP") {
			continue
		}
		whole := p.(*m3u8.MediaPlaylist).GetAllSegments()
		for _, n := range []int{1, 3, 10} {
			q, _, err := m3u8.DecodeFrom(strings.NewReader(window(t, rewrite.Window{Segments: n}, string(text))), false)
			require.NoError(t, err, name)
			got := q.(*m3u8.MediaPlaylist).GetAllSegments()
			want := whole[max(len(whole)-n, 0):]
			require.Len(t, got, len(want), name)
			for i := range got {
				require.Equal(t, want[i].URI, got[i].URI, name)
				require.Equal(t, want[i].SeqId, got[i].SeqId, name)
				require.Equal(t, want[i].Duration, got[i].Duration, name)
			}
		}
	}
}

func FuzzWindow(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 3 {
		f.Add("#EXTM3U\n"+strings.Join(stream(rnd, 5), ""), 2, 3, 9)
	}
	f.Fuzz(func(t *testing.T, text string, segments, from, to int) {
		rw := &rewrite.Rewriter{Map: identity{}, Window: rewrite.Window{Segments: segments, From: time.Duration(from) * time.Second, To: time.Duration(to) * time.Second}}
		out, err := rw.Append(t.Context(), nil, []byte(text), "")
		if err != nil {
			require.Equal(t, 502, status(err))
			return
		}
		require.LessOrEqual(t, len(out), 3*len(text)+300)
		if strings.Contains(text, "\r") {
			return
		}
		// Lines that end otherwise are read another way.
		other, err := rw.Append(t.Context(), nil, []byte(strings.ReplaceAll(text, "\n", "\r\n")), "")
		require.NoError(t, err)
		require.Equal(t, string(out), strings.ReplaceAll(string(other), "\r", ""))
	})
}

// FuzzNextWindow cuts playlists that begin like the one before. The Rewriter keeps what it has read of that one.
func FuzzNextWindow(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 1))
	long := "#EXTM3U\n" + strings.Join(stream(rnd, 60), "")
	for _, at := range []int{10, len(long) / 2, len(long) - 1, len(long)} {
		f.Add(false, "", "", at, 3)
		f.Add(false, strings.Join(stream(rnd, 2), ""), "x\n#EXT-X-DISCONTINUITY\n", at, 5)
		f.Add(false, "#EXTINF:1,\na", "b\n", at, 5)
		f.Add(false, "#EXT-X-STREAM-INF:BANDWIDTH=1\na\n", "#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n", at, 100)
		f.Add(true, "", "#EXTM3U\nx\n", at, 5)
	}
	f.Fuzz(func(t *testing.T, bare bool, end, edit string, at, segments int) {
		text := long + end
		if bare {
			text = strings.TrimPrefix(text, "#EXTM3U\n")
		}
		if strings.Contains(text+edit, "\r") || at < 0 || at > len(text) {
			return
		}
		rw := &rewrite.Rewriter{Map: identity{}, Window: rewrite.Window{Segments: segments}}
		var all, cut []string
		for _, next := range []string{text, text[:at] + edit + text[at:], text[:at] + edit, text[:at], text, text + edit} {
			all = append(all, next)
			cut = append(cut, rewritten(t, rw, next, ""))
		}
		for i, next := range all {
			// Lines that end otherwise are all read again.
			other := rewritten(t, rw, strings.ReplaceAll(next, "\n", "\r\n"), "")
			require.Equal(t, cut[i], strings.ReplaceAll(other, "\r", ""))
		}
	})
}

// FuzzMovingWindow cuts a playlist that moves on. What was read of segments that are still there is kept.
func FuzzMovingWindow(f *testing.F) {
	rnd := rand.New(rand.NewPCG(2, 2))
	all := stream(rnd, 60)
	for _, lost := range []uint8{0, 1, 2, 7, 39, 44} {
		for _, lie := range []int{0, 1, -1, 100} {
			f.Add("", "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"a\"\n", "", "", lost, lie, 3)
			f.Add("#EXTINF:4,\n", "", "# a comment\n", "", lost, lie, 50)
			f.Add("#EXTINF:4,\nb", "#EXT-X-DATERANGE:ID=\"1\"\n", "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n", "\n\n", lost, lie, 6)
			f.Add("#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n", "", "#EXT-X-SKIP:SKIPPED-SEGMENTS=0\n", "x\n", lost, lie, 44)
			f.Add("#EXT-X-BYTERANGE:3\n", "#EXT-X-MEDIA:\n", "#EXT-X-DISCONTINUITY\n", "#EXT-X-PART:URI=\"p\"\n", lost, lie, 6)
		}
	}
	f.Fuzz(func(t *testing.T, end, tail, first, among string, lost uint8, lie, segments int) {
		if strings.Contains(end+tail+first+among, "\r") {
			return
		}
		begin := int(lost) % 45
		playlist := func(from, to, number int, first, tail string) string {
			half := (from + to) / 2
			return fmt.Sprintf("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:%d\n", number) + first +
				strings.Join(all[from:half], "") + among + strings.Join(all[half:to], "") + tail
		}
		rw := &rewrite.Rewriter{Map: identity{}, Window: rewrite.Window{Segments: segments}}
		var reloads, cut []string
		for _, next := range []string{
			playlist(0, 40, 9, "", end), playlist(begin, 45, 9+begin, first, tail), playlist(begin, 46, 9+begin, "", tail),
			playlist(begin, 50, 9+begin+lie, first, end), playlist(begin+2, 55, 9+begin+2+lie, "", tail), playlist(begin+5, 60, 9+begin+5+lie, "", tail),
			playlist(begin+6, 60, 9+begin+6+lie, tail, ""), playlist(begin, 60, 9+begin, "", tail),
		} {
			reloads = append(reloads, next)
			cut = append(cut, rewritten(t, rw, next, ""))
		}
		for i, next := range reloads {
			// Lines that end otherwise are all read again.
			other := rewritten(t, rw, strings.ReplaceAll(next, "\n", "\r\n"), "")
			require.Equal(t, cut[i], strings.ReplaceAll(other, "\r", ""))
		}
	})
}

// Lines that are as long as those before them, or end where those did, and are others all the same.
func TestAWindowOfLinesOfOneLength(t *testing.T) {
	head, pair := "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:1\n", "#EXTINF:4.0,\nseg_1.ts\n"
	for name, odd := range map[string]string{
		"two URIs in the place of one": "#EXTINF:4.0,\nse\n_1.ts\n", "a title in two lines": "#EXTINF:\n#4,\nseg_1.ts\n", "an empty line": "#EXTINF:4.0,\n\neg_1.ts\n",
		"a URI without EXTINF": "seg_1.ts\n", "a key as long as an EXTINF": "#EXT-X-KEY:\nseg_1.ts\n", "no URI": "#EXTINF:4.0,\n", "a short end": "#EXTINF:4.0,\nseg_1.",
		"a carriage return": "#EXTINF:4.0,\nse\r_1.ts\n", "blanks": "#EXTINF:4.0,\n seg_1.t\n", "a comment": "#EXTINF:4.0,\n#eg_1.ts\nx\n",
	} {
		t.Run(name, func(t *testing.T) {
			text := head + strings.Repeat(pair, 5) + odd + strings.Repeat(pair, 3)
			want := 0
			for range rewrite.Refs([]byte(text), "") {
				want++
			}
			out := window(t, rewrite.Window{Segments: 2}, text)
			require.Contains(t, out, fmt.Sprintf("#EXT-X-MEDIA-SEQUENCE:%d\n", 1+want-2))
			left := 0
			for range rewrite.Refs([]byte(out), "") {
				left++
			}
			require.Equal(t, 2, left)
		})
	}
}

// What is said of a date range that may go on stays; of one that has ended, nothing does.
func TestDateRangesOfAWindow(t *testing.T) {
	const date, s = "#EXT-X-PROGRAM-DATE-TIME:2026-11-29T12:00:00.000Z\n", "#EXTINF:10,\ns\n"
	for name, c := range map[string]struct {
		lines string // among the two segments that go, which take from 12:00:00 to 12:00:20
		stay  bool
	}{
		"ended by its duration":      {"ID=\"1\",START-DATE=\"2026-11-29T12:00:01Z\",DURATION=19", false},
		"goes on by its duration":    {"ID=\"1\",START-DATE=\"2026-11-29T12:00:01Z\",DURATION=19.001", true},
		"ended by its end":           {"ID=\"1\",START-DATE=\"2026-11-29T12:00:01Z\",END-DATE=\"2026-11-29T13:00:19+01:00\"", false},
		"goes on by its end":         {"ID=\"1\",START-DATE=\"2026-11-29T12:00:01Z\",END-DATE=\"2026-11-29T12:00:20.5Z\"", true},
		"without an end":             {"ID=\"1\",START-DATE=\"2026-11-29T12:00:01Z\",PLANNED-DURATION=5", true},
		"without a start":            {"ID=\"1\",DURATION=1", true},
		"before the first frame":     {"ID=\"1\",START-DATE=\"2026-11-29T12:00:01Z\",DURATION=1,CUE=\"PRE,ONCE\"", true},
		"ended by the next":          {"ID=\"1\",CLASS=\"a\",START-DATE=\"2026-11-29T12:00:01Z\",END-ON-NEXT=YES\n#EXT-X-DATERANGE:ID=\"2\",CLASS=\"a\",START-DATE=\"2026-11-29T12:00:02Z\",DURATION=1", false},
		"the next is of another":     {"ID=\"1\",CLASS=\"a\",START-DATE=\"2026-11-29T12:00:01Z\",END-ON-NEXT=YES\n#EXT-X-DATERANGE:ID=\"1\",START-DATE=\"2026-11-29T12:00:01Z\"", true},
		"its end in another tag":     {"ID=\"1\",START-DATE=\"2026-11-29T12:00:01Z\"\n#EXT-X-DATERANGE:ID=\"1\",DURATION=3", false},
		"a later end in another tag": {"ID=\"1\",START-DATE=\"2026-11-29T12:00:01Z\",PLANNED-DURATION=1\n#EXT-X-DATERANGE:ID=\"1\",DURATION=60", true},
	} {
		t.Run(name, func(t *testing.T) {
			lines := "#EXT-X-DATERANGE:" + c.lines + "\n"
			for _, other := range []string{"", "#EXT-X-DATERANGE:ID=\"9\",START-DATE=\"2026-11-29T12:00:00Z\"\n"} {
				text := "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:1\n" + date + s + lines + other + s + s + "#EXT-X-ENDLIST\n"
				want := "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:3\n" + other + "#EXT-X-PROGRAM-DATE-TIME:2026-11-29T12:00:20.000Z\n" + s + "#EXT-X-ENDLIST\n"
				if c.stay {
					want = strings.Replace(want, other+"#EXT-X-PROG", lines+other+"#EXT-X-PROG", 1)
				}
				require.Equal(t, want, window(t, rewrite.Window{Segments: 1}, text))
				undated := strings.Replace(text, date, "", 1)
				require.Contains(t, window(t, rewrite.Window{Segments: 1}, undated), lines, "when they are is not known")
				own := strings.Replace(undated, s+"#EXT-X-ENDLIST", strings.Replace(date, ":00.000", ":20.000", 1)+s+"#EXT-X-ENDLIST", 1)
				require.Equal(t, c.stay, strings.Contains(window(t, rewrite.Window{Segments: 1}, own), lines), "by the date of what stays")
			}
		})
	}
}

// One Rewriter cuts what another has cut, and another playlist, as if it had cut nothing before.
func TestWindowsDoNotRemember(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	var texts []string
	for i := range 4 {
		texts = append(texts, "#EXTM3U\n"+strings.Join(stream(rnd, 5+i), ""))
	}
	texts = append(texts, ladder, "", texts[0]+"#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n")
	want := map[string]string{}
	for range 300 {
		text, w := texts[rnd.IntN(len(texts))], rewrite.Window{Segments: 1 + rnd.IntN(3)}
		key := fmt.Sprint(w, text)
		got := window(t, w, text)
		if first, ok := want[key]; ok {
			require.Equal(t, first, got)
		}
		want[key] = got
	}
}

// What a playlist makes a window remember grows with its bytes, and not with their square.
func TestAWindowTakesNoMoreThanItsPlaylist(t *testing.T) {
	const n = 4000
	const head, end = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n", "#EXTINF:1,\na\n#EXTINF:1,\nb\n"
	var keys, turns, parts strings.Builder
	for i := range n {
		key := fmt.Sprintf("#EXT-X-KEY:METHOD=A,KEYFORMAT=\"%d\"\n", i)
		keys.WriteString(key)
		turns.WriteString(key + "#EXT-X-MAP:URI=\"a\"\n")
		fmt.Fprintf(&parts, "#EXT-X-PART:BYTERANGE=\"1\",URI=\"%d\"\n", i)
	}
	for name, text := range map[string]string{
		"keys of many formats": keys.String() + strings.Repeat("#EXT-X-MAP:URI=\"a\"\n", n),
		"keys and sections":    turns.String(),
		"dated segments":       strings.Repeat("#EXTINF:1,\n#EXT-X-PROGRAM-DATE-TIME:2020-01-01T00:00:00Z\na\n", n),
		"parts and ranges":     parts.String() + strings.Repeat("#EXTINF:1,\n#EXT-X-BYTERANGE:1\na\n", n),
		"starts":               strings.Repeat("#EXT-X-START:TIME-OFFSET=1\n", n) + strings.Repeat("#EXTINF:1,\na\n", n),
	} {
		t.Run(name, func(t *testing.T) {
			text = head + text + end
			rw := &rewrite.Rewriter{Window: rewrite.Window{Segments: 1}}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := rw.Append(t.Context(), nil, []byte(text), "https://a/b.m3u8")
			runtime.ReadMemStats(&after)
			require.NoError(t, err)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(100*len(text)))
		})
	}
}

// Players get the last three segments of a long live playlist.
func ExampleWindow() {
	rw := &rewrite.Rewriter{Map: rewrite.Query("/p", "url"), Window: rewrite.Window{Segments: 2}}
	out, err := rw.Append(context.Background(), nil, []byte("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-MAP:URI=\"init.mp4\"\n"+
		"#EXTINF:4,\n7.m4s\n#EXTINF:4,\n8.m4s\n#EXTINF:4,\n9.m4s\n"), "https://h/x.m3u8")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(string(out))
	// Output:
	// #EXTM3U
	// #EXT-X-TARGETDURATION:4
	// #EXT-X-MEDIA-SEQUENCE:8
	// #EXT-X-MAP:URI="/p/init.mp4?url=https%3A%2F%2Fh%2Finit.mp4"
	// #EXTINF:4,
	// /p/8.m4s?url=https%3A%2F%2Fh%2F8.m4s
	// #EXTINF:4,
	// /p/9.m4s?url=https%3A%2F%2Fh%2F9.m4s
}

// A Window says where to start by a pointer, behind which the value may change.
func TestAWindowIsNotKeptBeyondItsStart(t *testing.T) {
	text, start := "#EXTM3U\n"+strings.Repeat("#EXTINF:4,\na.ts\n", 5), 1.0
	for _, start = range []float64{1, 2} {
		require.Contains(t, window(t, rewrite.Window{Start: &start}, text), fmt.Sprintf("TIME-OFFSET=%v\n", start))
	}
}

func TestAWindowForgetsWhatALaterSkipSaid(t *testing.T) {
	long, w := "#EXTM3U\n#EXT-X-SKIP:SKIPPED-SEGMENTS=5\n"+strings.Repeat("#EXTINF:4,\na.ts\n", 500), rewrite.Window{Segments: 501}
	fresh := window(t, w, strings.ReplaceAll(long, "\n", "\r\n"))
	window(t, w, long+"#EXT-X-SKIP:SKIPPED-SEGMENTS=0\n")
	require.Equal(t, strings.ReplaceAll(fresh, "\r", ""), window(t, w, long))
}

// Only the offset changes, and nothing that looks like it.
func TestAWindowMovesTheOffsetAlone(t *testing.T) {
	out := window(t, rewrite.Window{To: 5 * time.Second}, "#EXTM3U\n#EXT-X-START:X-A=\"-9\",TIME-OFFSET=-9\n#EXTINF:4,\na\n#EXTINF:4,\nb\n#EXTINF:4,\nc\n")
	require.Contains(t, out, "X-A=\"-9\",TIME-OFFSET=-5\n")
}
