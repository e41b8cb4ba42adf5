package memo_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite/internal/memo"
	"github.com/stretchr/testify/require"
)

// escapes is how long net/url makes each byte that it escapes.
var escapes = func() (t [256]uint8) {
	for c := range t {
		if s := url.QueryEscape(string([]byte{byte(c)})); s != string([]byte{byte(c)}) {
			t[c] = uint8(len(s))
		}
	}
	return t
}()

// A way maps the URI of a line: to a path, or to the query of a URL with the file name in its path.
type way func(uri string) (string, memo.Mapping)

func toPath(uri string) (string, memo.Mapping) {
	rest := strings.TrimPrefix(uri, "../")
	free := len(rest)
	if i := strings.IndexByte(rest, '?'); i >= 0 {
		free = i
	}
	return "/live/" + rest, memo.Mapping{Lead: len(uri) - len(rest), Rest: len("/live/"), Free: free}
}

func toQuery(uri string) (string, memo.Mapping) {
	rest := strings.TrimPrefix(uri, "../")
	path, _, _ := strings.Cut(rest, "?")
	name := strings.LastIndexByte(path, '/') + 1
	head := "/p/" + path[name:] + "?u=http%3A%2F%2Fh%2F"
	return head + url.QueryEscape(rest), memo.Mapping{
		Lead: len(uri) - len(rest), Rest: len(head), Free: len(rest), Name: memo.Span{Start: name, End: len(path)}, Second: len("/p/"), Escapes: &escapes,
	}
}

// uriOf finds what stands between quotes, or on the last line.
func uriOf(lines string) memo.Span {
	if i := strings.IndexByte(lines, '"'); i >= 0 {
		return memo.Span{Start: i + 1, End: i + 1 + strings.IndexByte(lines[i+1:], '"')}
	}
	return memo.Span{Start: strings.LastIndexByte(lines[:len(lines)-1], '\n') + 1, End: len(lines) - 1}
}

func mapped(lines string, to way) string {
	uri := uriOf(lines)
	public, _ := to(lines[uri.Start:uri.End])
	return lines[:uri.Start] + public + lines[uri.End:]
}

func learn(m *memo.Memo, lines string, to way, note memo.Note) {
	uri := uriOf(lines)
	public, how := to(lines[uri.Start:uri.End])
	if u := m.Learn([]byte(lines), uri, []byte(public), &how); u != nil {
		u.Note = note
	}
}

func newMemo() *memo.Memo {
	m := &memo.Memo{}
	m.Forget()
	m.Begin()
	return m
}

var templates = []string{
	"#EXTINF:6.00600,\nseg_000001.ts\n", "#EXTINF:6.0,\n../a b/seg-1.ts?t=1&x=abc\n", "#EXT-X-KEY:METHOD=AES-128,URI=\"key1.bin\",IV=0x0a1b2c3d\n",
	"#EXT-X-PART:DURATION=0.33334,URI=\"p1.1.m4s\",INDEPENDENT=YES\n", "#EXTINF:1,\n1/2/3~4.ts\n",
}

// What a unit makes of lines that it matches is what the long way makes of them.
func TestWhatMatchesBecomesWhatTheLongWayMakesOfIt(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	const others = "0123456789abfXU-~_.,=:/?%#$ "
	for name, to := range map[string]way{"path": toPath, "query": toQuery} {
		t.Run(name, func(t *testing.T) {
			m, hits := newMemo(), 0
			for range 20000 {
				text := []byte(templates[rnd.IntN(len(templates))])
				for i, c := range text {
					if c-'0' < 10 && rnd.IntN(3) == 0 {
						text[i] = byte('0' + rnd.IntN(10))
					}
				}
				uri := uriOf(string(text))
				if rnd.IntN(3) == 0 {
					text[uri.Start+rnd.IntN(uri.End-uri.Start)] = others[rnd.IntN(len(others))]
				}
				lines := string(text)
				u, differ := m.Match(append([]byte(lines), "#EXTINF:7,\n"...))
				if u == nil {
					learn(m, lines, to, memo.Note{})
					continue
				}
				hits++
				require.Equal(t, len(lines), u.Len())
				require.Equal(t, uriOf(lines), u.URI())
				require.Equal(t, "before "+mapped(lines, to), string(u.Append([]byte("before "), []byte(lines), differ)), "%q, learned from %q", lines, u.Learned())
			}
			require.Greater(t, hits, 5000)
		})
	}
}

func TestOnlyLinesOfAKindThatComesTwiceAreLearned(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		last  string
		want  bool
	}{
		"once":                         {[]string{"seg_0001.ts\n"}, "seg_0002.ts\n", false},
		"twice":                        {[]string{"seg_0001.ts\n", "seg_0002.ts\n"}, "seg_0003.ts\n", true},
		"other lengths":                {[]string{"seg_0001.ts\n", "seg_00002.ts\n"}, "seg_0003.ts\n", false},
		"other letters":                {[]string{"seg_0001.ts\n", "seg_0002.ts\n"}, "sig+0003.ts\n", false},
		"another extension":            {[]string{"seg_0001.ts\n", "seg_0002.ts\n"}, "seg_0003.tt\n", false},
		"another line end":             {[]string{"seg_0001.ts\n", "seg_0002.ts\n"}, "seg_0003.ts\r", false},
		"no end yet":                   {[]string{"seg_0001.ts\n", "seg_0002.ts\n"}, "seg_0003.ts", false},
		"shorter than a word":          {[]string{"1.ts\n", "2.ts\n"}, "3.ts\n", false},
		"longer than a unit":           {[]string{strings.Repeat("1", 600) + "\n", strings.Repeat("2", 600) + "\n"}, strings.Repeat("3", 600) + "\n", false},
		"digits of the directory part": {[]string{"a1/seg_1.ts\n", "a2/seg_1.ts\n"}, "a3/seg_1.ts\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemo()
			for _, lines := range c.lines {
				learn(m, lines, toQuery, memo.Note{})
			}
			u, _ := m.Match([]byte(c.last))
			require.Equal(t, c.want, u != nil)
		})
	}
}

// A playlist in which nothing comes twice may cost no more than a look at its lines: learning ends.
func TestLearningEndsWhereNothingMatches(t *testing.T) {
	m := newMemo()
	learned := 0
	for i := range 1000 {
		lines := fmt.Sprintf("%c%c%c/seg.ts\n", 'a'+i%26, 'a'+i/26%26, 'a'+i/676)
		if u, _ := m.Match([]byte(lines)); u == nil {
			learn(m, lines, toPath, memo.Note{Turn: i})
		}
		if u, _ := m.Match([]byte(lines)); u != nil && u.Note.Turn == i {
			learned++
		}
	}
	require.Less(t, learned, 200)
}

func TestForgetLeavesNothing(t *testing.T) {
	m := newMemo()
	for range 2 {
		learn(m, "seg_0001.ts\n", toPath, memo.Note{})
	}
	u, _ := m.Match([]byte("seg_0002.ts\n"))
	require.NotNil(t, u)
	m.Forget()
	u, _ = m.Match([]byte("seg_0002.ts\n"))
	require.Nil(t, u)
}

// The caller may reuse its buffers, and finds its note with the unit.
func TestAUnitKeepsItsOwnBytesAndItsNote(t *testing.T) {
	m := newMemo()
	lines, public := []byte("seg_0001.ts\n"), []byte("/live/seg_0001.ts")
	for range 2 {
		if u := m.Learn(lines, memo.Span{End: len(lines) - 1}, public, &memo.Mapping{Rest: len("/live/")}); u != nil {
			u.Note = memo.Note{Form: 2, Turn: 7}
		}
	}
	clear(lines)
	clear(public)
	text := []byte("seg_0042.ts\n")
	u, differ := m.Match(text)
	require.NotNil(t, u)
	require.Equal(t, memo.Note{Form: 2, Turn: 7}, u.Note)
	require.Equal(t, "seg_0001.ts", string(u.Learned()))
	require.Equal(t, "/live/seg_0042.ts\n", string(u.Append(nil, text, differ)))
}

func TestRemapLeadsElsewhere(t *testing.T) {
	m := newMemo()
	for range 2 {
		learn(m, "#EXTINF:6,\n../seg_1.ts\n", toQuery, memo.Note{})
	}
	text := []byte("#EXTINF:4,\n../seg_2.ts\n")
	u, differ := m.Match(text)
	require.NotNil(t, u)
	u.Sign([]byte("&s=1"))
	other := memo.Mapping{Lead: len("../"), Rest: len("/p/seg_1.ts?u=x%2F"), Second: len("/p/")}
	require.True(t, u.Remap([]byte("/p/seg_1.ts?u=x%2Fseg_1.ts"), &other))
	require.False(t, u.IsSigned(), "another URL has another signature")
	require.Equal(t, "#EXTINF:4,\n/p/seg_2.ts?u=x%2Fseg_2.ts\n", string(u.Append(nil, text, differ)))
	other.Lead = 0
	require.False(t, u.Remap([]byte("/q"), &other), "what is below the directory begins elsewhere")
	other.Lead = len("../")
	require.False(t, u.Remap(bytes.Repeat([]byte("x"), 2000), &other), "too long")
}

// A signature is only copied to URLs that differ in digits of the file name before its extension, or of the query.
func TestAlike(t *testing.T) {
	const first = "#EXTINF:6,\na1/seg_1.m4s?t=1&k=a\n"
	for text, want := range map[string]bool{
		first:                                true,
		"#EXTINF:4,\na1/seg_2.m4s?t=9&k=a\n": true,
		"#EXTINF:6,\na2/seg_1.m4s?t=1&k=a\n": false,
		"#EXTINF:6,\na1/seg_1.m5s?t=1&k=a\n": false,
		"#EXTINF:6,\na1/seb_1.m4s?t=1&k=a\n": false,
	} {
		m := newMemo()
		for range 2 {
			learn(m, first, func(uri string) (string, memo.Mapping) {
				return "/live/" + uri, memo.Mapping{Rest: len("/live/"), Free: len(uri)}
			}, memo.Note{})
		}
		u, differ := m.Match([]byte(text))
		require.NotNil(t, u, text)
		require.Equal(t, want, u.IsAlike([]byte(text), differ), text)
		u.Sign([]byte("&sig=x"))
		require.True(t, u.IsSigned())
		uri := uriOf(text)
		signed := text[:uri.Start] + "/live/" + text[uri.Start:uri.End] + "&sig=x\n"
		require.Equal(t, signed, string(u.Append(nil, []byte(text), differ)))
		require.Equal(t, memo.Span{Start: uri.Start, End: len(signed) - len("&sig=x\n")}, u.URL())
		u.Sign(nil)
		require.False(t, u.IsSigned())
		require.Equal(t, strings.ReplaceAll(signed, "&sig=x", ""), string(u.Append(nil, []byte(text), differ)))
	}
}
