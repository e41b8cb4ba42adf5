package rewrite_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/hlsproxy/hlsproxy/internal/playlists"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// hostile are shapes of playlists, some under a URL of their own, that are made to take more than they are worth.
func hostile(size int) map[string][2]string {
	const at = "https://cdn.example/live/ch1/x.m3u8"
	long := strings.Repeat("a=b&", 16<<10) + "z=" + strings.Repeat("v", 100)
	fill := func(text string) string { return "#EXTM3U\n" + strings.Repeat(text, max(size/len(text), 1)) }
	count := func(line string) string {
		var b strings.Builder
		b.WriteString("#EXTM3U\n")
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(&b, line, i)
		}
		return b.String()
	}
	value := strings.Repeat("x", min(60<<10, 16*size))
	return map[string][2]string{
		"QUERYPARAM, long query":  {fill("#EXT-X-DEFINE:QUERYPARAM=\"z\"\n"), at + "?" + long},
		"QUERYPARAMs, long query": {count("#EXT-X-DEFINE:QUERYPARAM=\"z%d\"\n"), at + "?" + long},
		"IMPORT, long fragment":   {fill("#EXT-X-DEFINE:IMPORT=\"z\"\n"), at + "#hls-define:" + strings.ReplaceAll(long, "&", ";")},
		"IMPORTs, long fragment":  {count("#EXT-X-DEFINE:IMPORT=\"z%d\"\n"), at + "#hls-define:" + strings.ReplaceAll(long, "&", ";")},
		"growing values":          {"#EXTM3U\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"" + value + "\"\n" + count("#EXT-X-DEFINE:NAME=\"a%d\",VALUE=\"{$a}{$a}\"\n"), at},
		"values of values":        {"#EXTM3U\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"" + value + "\"\n" + fill("#EXT-X-DEFINE:NAME=\"b\",VALUE=\"{$a}\"\n"), at},
		"names of values":         {"#EXTM3U\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"" + value + "\"\n" + fill("#EXT-X-DEFINE:NAME=\"{$a}\",VALUE=\"\"\n"), at},
		"definitions":             {count("#EXT-X-DEFINE:NAME=\"a%d\",VALUE=\"\"\n"), at},
		"a variable in each line": {"#EXTM3U\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"" + value + "\"\n" + fill("{$a}\n"), at},
		"in each key format":      {"#EXTM3U\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"" + value + "\"\n" + fill("#EXT-X-KEY:KEYFORMAT=\"{$a}\",URI=\"a\"\n"), at},
		"in each variant":         {"#EXTM3U\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"" + value + "\"\n" + fill("#EXT-X-STREAM-INF:NAME=\"{$a}\"\nx\n"), at},
		"undefined variables":     {fill("{$a}{$b}{$c}\n"), at},
		"half references":         {fill("{$a"), at},
		"variants":                {fill("#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nx\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"n\"\n"), at},
		"I-frame variants":        {"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nx\n" + fill("#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"x\"\n"), at},
		"commas":                  {"#EXTM3U\n#EXT-X-MEDIA:" + strings.Repeat(",", size), at},
		"attributes":              {"#EXTM3U\n#EXT-X-STREAM-INF:" + strings.Repeat("a=1,", size/4) + "\nx\n", at},
		"attributes of a key":     {"#EXTM3U\n#EXT-X-KEY:" + strings.Repeat("KEYFORMAT=,", size/11), at},
		"short keys":              {fill("#EXT-X-KEY:URI=a\n"), at},
		"one line":                {fill("a"), at},
		"lines of one byte":       {fill("a\n"), at},
		"and a long base":         {fill("a\n"), at[:len(at)-len("x.m3u8")] + strings.Repeat("d/", 16<<10)},
		"parents":                 {fill("../a\n"), at[:len(at)-len("x.m3u8")] + strings.Repeat("d/", 16<<10)},
		"deep parents":            {fill(strings.Repeat("../", 40) + "a\n"), at[:len(at)-len("x.m3u8")] + strings.Repeat("d/", 16<<10)},
		"far below":               {fill("a/../"), at},
		"escapes":                 {fill("%2525252e"), at},
		"one escape":              {"#EXTM3U\n%" + strings.Repeat("25", size/2), at},
		"date ranges":             {count("#EXT-X-DATERANGE:ID=\"%d\",X-ASSET-URI=\"a\"\n"), at},
		"empty lines":             {fill("\n"), at},
		"lone CRs":                {fill("\r"), at},
		"tags":                    {fill("#EXT-X-\n"), at},
		"beginnings":              {strings.Repeat("#EXTM3UX\n", size/9), at},
		"another scheme":          {fill("a:b\n"), at},
		"markers":                 {fill("#hls-define:\n?%2523\n"), at + "?" + long},
	}
}

func hostileJSON(size int) map[string]string {
	return map[string]string{
		"assets":   `{"ASSETS":[` + strings.Repeat(`{"URI":"a"},`, size/12) + `{}]}`,
		"nesting":  `{"ASSETS":` + strings.Repeat("[", size/2) + strings.Repeat("]", size/2) + `}`,
		"shallow":  `{"ASSETS":` + strings.Repeat(`[`, 9000) + strings.Repeat("]", 9000) + strings.Repeat(" ", size) + `}`,
		"clones":   `{"VERSION":1,"PATHWAY-CLONES":[` + strings.Repeat(`{"URI-REPLACEMENT":{"HOST":"h"}},`, size/33) + `{}]}`,
		"kept":     `{"VERSION":1,"PATHWAY-CLONES":[` + strings.Repeat(`{"URI-REPLACEMENT":{"PER-VARIANT-URIS":{"a":"b"}}},`, size/51) + `{}]}`,
		"members":  `{"ASSETS":[{` + strings.Repeat(`"URI":"a",`, size/10) + `"A":1}]}`,
		"a string": `{"VERSION":1,"RELOAD-URI":"` + strings.Repeat(`\u002e`, size/6) + `"}`,
	}
}

func rewriters(t testing.TB) map[string]*rewrite.Rewriter {
	all := map[string]*rewrite.Rewriter{"none": {}}
	for name, m := range mappers(t) {
		all[name] = &rewrite.Rewriter{Map: m, Variant: most(720), Sign: rewrite.SignFunc(appends("?t"))}
		all[name+", a window"] = &rewrite.Rewriter{Map: m, Window: rewrite.Window{Segments: 6, Last: time.Second}}
	}
	return all
}

// perByte is what a byte of a playlist may cost, in the bytes that are looked at and written. A reference of one byte becomes
// a URL of hundreds.
const perByte = 4096

func TestNoPlaylistMakesMuchWork(t *testing.T) {
	const size = 4 << 10
	for shape, c := range hostile(size) {
		for name, rw := range rewriters(t) {
			work, err := rw.Work([]byte(c[0]), c[1])
			if err != nil {
				require.ErrorIs(t, err, rewrite.ErrTooLarge, "%s %s", shape, name)
				continue
			}
			require.Less(t, work, 64*len(c[1])+perByte*len(c[0]), "%s %s", shape, name)
		}
	}
}

// What a playlist becomes, and what Refs makes of it, is a few times what it is, whatever its variables say.
func TestVariablesExpandWithinBounds(t *testing.T) {
	const size = 128 << 10
	for name, c := range hostile(size) {
		if strings.Contains(name, "base") || strings.Contains(name, "parents") || strings.Contains(name, "long") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			out, err := (&rewrite.Rewriter{}).Append(t.Context(), nil, []byte(c[0]), c[1])
			require.NoError(t, err)
			require.LessOrEqual(t, len(out), 64*len(c[0]))
			total, lines := 0, 0
			for ref := range rewrite.Refs([]byte(c[0]), c[1]) {
				total += len(ref.URL)
				lines++
			}
			require.LessOrEqual(t, total, 33*len(c[0])+100*lines+1<<20)
		})
	}
}

func TestRefsEndWhereAppendWould(t *testing.T) {
	c := hostile(1 << 20)["and a long base"]
	total, last := 0, error(nil)
	for ref, err := range rewrite.Refs([]byte(c[0]), c[1]) {
		total += len(ref.URL)
		last = err
	}
	require.ErrorIs(t, last, rewrite.ErrTooLarge)
	require.LessOrEqual(t, total, 16<<20)
	_, err := (&rewrite.Rewriter{}).Append(t.Context(), nil, []byte(c[0]), c[1])
	require.ErrorIs(t, err, rewrite.ErrTooLarge)
}

func TestDefinitionsTakeLittleMemory(t *testing.T) {
	for _, name := range []string{"QUERYPARAM, long query", "QUERYPARAMs, long query", "IMPORT, long fragment", "growing values", "definitions"} {
		c := hostile(512 << 10)[name]
		rw := &rewrite.Rewriter{Map: rewrite.Query("/q", "u")}
		dst := make([]byte, 0, 2*len(c[0]))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := rw.Append(t.Context(), dst, []byte(c[0]), c[1])
		runtime.ReadMemStats(&after)
		require.NoError(t, err)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16*len(c[0])), name)
	}
}

// cancelled is a context that ends when it has been looked at a few times.
type cancelled struct {
	context.Context
	looks int
}

func (c *cancelled) Err() error {
	if c.looks--; c.looks < 0 {
		return context.Canceled
	}
	return nil
}

func TestARewriteEndsWithItsContext(t *testing.T) {
	for name, c := range hostile(2 << 20) {
		ctx := &cancelled{Context: t.Context(), looks: 1}
		rw := &rewrite.Rewriter{Map: hidden{rewrite.Query("/q", "u")}, Variant: most(720)}
		out, err := rw.Append(ctx, nil, []byte(c[0]), c[1])
		if slices.Contains([]string{"commas", "one line", "attributes", "attributes of a key", "one escape", "far below", "escapes", "half references"}, name) {
			continue // one token
		}
		require.ErrorIs(t, err, context.Canceled, name)
		require.Empty(t, out)
		rw.Window.Segments = 6
		out, err = rw.Append(&cancelled{Context: t.Context()}, nil, []byte(c[0]), c[1])
		require.ErrorIs(t, err, context.Canceled, name)
		require.Empty(t, out)
	}
	for name, text := range hostileJSON(2 << 20) {
		resp := response("https://h/x.json", "application/json", text)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		resp.Request = resp.Request.WithContext(ctx)
		err := (&rewrite.Rewriter{Map: rewrite.Query("/q", "u")}).ModifyResponse(resp)
		if name == "assets" || name == "kept" || name == "members" {
			require.ErrorIs(t, err, context.Canceled, name)
		}
	}
}

// FuzzWork counts work, not time.
func FuzzWork(f *testing.F) {
	for _, c := range hostile(300) {
		f.Add(c[0], c[1])
	}
	all := rewriters(f)
	f.Fuzz(func(t *testing.T, playlist, base string) {
		if len(base) > 1<<10 {
			return
		}
		for name, rw := range all {
			work, err := rw.Work([]byte(playlist), base)
			require.NoError(t, err)
			require.Less(t, work, 1<<18+(perByte+4*len(base))*len(playlist), name)
		}
	})
}

// BenchmarkHostile prints what a byte costs, at the best of all runs, and how many times that of an ordinary playlist it is,
// which takes turns with it. The bytes are those of the playlist and of its URL or, where a tiny line becomes a long one,
// those that are written.
func BenchmarkHostile(b *testing.B) {
	const size = 256 << 10
	vod := string(playlists.VOD(2500).Text)
	rw := &rewrite.Rewriter{Map: rewrite.Query("/q", "u"), Variant: most(720), Rendition: func(*m3u8.Alternative) bool { return true }}
	dst := make([]byte, 0, 32<<20)
	cost := func(text, base string) (perByte float64) {
		playlist := []byte(text)
		begin := time.Now()
		out, err := rw.Append(context.Background(), dst, playlist, base)
		took := time.Since(begin)
		written := len(out)
		if err != nil {
			written = 16 << 20 // it has ended there
		}
		return float64(took.Nanoseconds()) / float64(max(len(text)+len(base), written))
	}
	shapes := hostile(size)
	shapes["VOD"] = [2]string{vod, playlists.Base}
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		b.Run(name, func(b *testing.B) {
			usual, own := math.Inf(1), math.Inf(1)
			for b.Loop() {
				usual = min(usual, cost(vod, playlists.Base))
				own = min(own, cost(shapes[name][0], shapes[name][1]))
			}
			b.ReportMetric(own, "ns/byte")
			b.ReportMetric(own/usual, "xVOD")
		})
	}
}
