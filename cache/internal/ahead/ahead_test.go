package ahead_test

import (
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/ahead"
	"github.com/hlsproxy/hlsproxy/cache/internal/listing"
	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/stretchr/testify/require"
)

// shelf is a Cache whose keys are URLs.
type shelf struct {
	pieces, fills int
	took          time.Duration // for each piece
	silent        time.Duration // before its header
	fails         string        // the name of a piece that cannot be fetched

	mu      sync.Mutex
	fetched []string
	now     int
	most    int // at a time
}

func (s *shelf) Limits() (int, int) { return s.pieces, s.fills }

func (s *shelf) Key(_ *http.Request, u *url.URL) (string, error) { return u.String(), nil }

func (s *shelf) Detach(r *http.Request) *http.Request { return r }

func (s *shelf) Fetch(_ *http.Request, p ahead.Piece, headed *atomic.Bool) (fetched, ok bool) {
	name := p.Ref
	if p.Length > 0 {
		name += fmt.Sprintf("@%d+%d", p.From, p.Length)
	}
	s.mu.Lock()
	s.fetched = append(s.fetched, name)
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	time.Sleep(s.silent)
	headed.Store(true)
	time.Sleep(s.took)
	s.mu.Lock()
	s.now--
	s.mu.Unlock()
	return p.Ref != s.fails, p.Ref != s.fails
}

// got returns what was fetched since the last call, after some time.
func (s *shelf) got() []string {
	time.Sleep(5 * time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	names := s.fetched
	s.fetched = nil
	return names
}

func (s *shelf) atATime() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}

func playlist(t *testing.T, text string) (*listing.Playlist, hls.Info) {
	t.Helper()
	info, err := hls.Scan(strings.NewReader(text))
	require.NoError(t, err)
	var out *listing.Playlist
	none := func([]byte, string, func(string) bool) error { return nil }
	require.True(t, new(listing.Reader).Read(strings.NewReader(text), "http://o/list.m3u8", none, func(p *listing.Playlist) { out = p }))
	return out, info
}

// list is a playlist of the segments from first to last.
func list(first, last int, end string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:%d\n", first)
	for i := first; i <= last; i++ {
		fmt.Fprintf(&b, "#EXTINF:4,\n%d.ts\n", i)
	}
	return b.String() + end
}

const end = "#EXT-X-ENDLIST\n"

func names(first, last int) []string {
	return slices.Collect(func() iter.Seq[string] {
		return func(yield func(string) bool) {
			for i := first; i <= last && yield(fmt.Sprintf("%d.ts", i)); i++ {
			}
		}
	}())
}

// guided calls f with a Guide that knows a playlist, and its shelf.
func guided(t *testing.T, text string, f func(*testing.T, *ahead.Guide, *shelf, *http.Request)) {
	synctest.Test(t, func(t *testing.T) {
		g, s := new(ahead.Guide), &shelf{pieces: 2, fills: 64}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://o/list.m3u8", nil)
		require.NoError(t, err)
		p, info := playlist(t, text)
		g.Listed(s, r, "list", p, info, false)
		require.Empty(t, s.got(), "nobody has asked for a piece yet")
		f(t, g, s, r)
	})
}

func TestWhatFollowsIsFetched(t *testing.T) {
	guided(t, list(0, 9, end), func(t *testing.T, g *ahead.Guide, s *shelf, r *http.Request) {
		g.Asked(s, r, "http://o/0.ts", false)
		require.Empty(t, s.got(), "the answer is not there yet")
		g.Stored(s, r, "http://o/0.ts", time.Time{})
		require.Equal(t, names(1, 2), s.got())
		sent := time.Now()
		g.Stored(s, r, "http://o/2.ts", sent)
		require.Empty(t, s.got(), "no viewer has asked for what was fetched ahead")
		g.Asked(s, r, "http://o/1.ts", true)
		require.Equal(t, names(3, 3), s.got(), "each piece once a minute")
		g.Asked(s, r, "http://o/2.ts", false)
		require.Equal(t, names(4, 4), s.got(), "what was fetched ahead is there")
		g.Asked(s, r, "http://o/unknown.ts", true)
		g.Asked(s, r, "http://o/9.ts", true)
		require.Empty(t, s.got())
		require.EqualValues(t, 4, g.Fetched.Load())
		require.EqualValues(t, 2, g.Used.Load())
	})
}

func TestANewVersionGoesOnFromTheFront(t *testing.T) {
	for name, row := range map[string]struct {
		text    string
		partial bool
		after   time.Duration
		want    []string
	}{
		"whole":                   {text: list(3, 6, ""), want: names(5, 6)},
		"a delta update":          {text: list(4, 6, ""), partial: true, want: names(5, 6)},
		"after a while":           {text: list(3, 6, ""), after: 20 * time.Second},
		"without what was before": {text: list(7, 9, "")},
	} {
		t.Run(name, func(t *testing.T) {
			guided(t, list(0, 4, ""), func(t *testing.T, g *ahead.Guide, s *shelf, r *http.Request) {
				g.Asked(s, r, "http://o/4.ts", true)
				time.Sleep(row.after)
				p, info := playlist(t, row.text)
				g.Listed(s, r, "list", p, info, row.partial)
				require.Equal(t, row.want, s.got())
			})
		})
	}
}

func TestWhatAPieceNeedsComesFirst(t *testing.T) {
	text := "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"a.mp4\"\n#EXTINF:4,\n0.m4s\n#EXTINF:4,\n1.m4s\n" +
		"#EXT-X-MAP:URI=\"b.mp4\",BYTERANGE=\"100@0\"\n#EXTINF:4,\n#EXT-X-GAP\n2.m4s\n#EXTINF:4,\n#EXT-X-BYTERANGE:10@100\nb.mp4\n#EXTINF:4,\nhttp://other/4.m4s\n" + end
	guided(t, text, func(t *testing.T, g *ahead.Guide, s *shelf, r *http.Request) {
		s.pieces = 9
		g.Asked(s, r, "http://o/0.m4s", true)
		require.Equal(t, []string{"1.m4s", "b.mp4@0+100", "b.mp4@100+10"}, s.got())
	})
}

func TestAFailureStopsThePlaylistForAWhile(t *testing.T) {
	guided(t, list(0, 9, end), func(t *testing.T, g *ahead.Guide, s *shelf, r *http.Request) {
		s.fails, s.pieces = "2.ts", 3
		g.Asked(s, r, "http://o/0.ts", true)
		require.Equal(t, names(1, 2), s.got())
		g.Asked(s, r, "http://o/5.ts", true)
		require.Empty(t, s.got())
		time.Sleep(10 * time.Second)
		g.Asked(s, r, "http://o/0.ts", true)
		require.Equal(t, names(3, 3), s.got())
		time.Sleep(time.Minute)
		g.Asked(s, r, "http://o/0.ts", true)
		require.Equal(t, names(1, 2), s.got())
	})
}

func TestOneAfterTheOther(t *testing.T) {
	for name, row := range map[string]struct {
		took, silent time.Duration
		fills, most  int
	}{
		"long bodies":     {took: time.Second, fills: 64, most: 1},
		"a silent origin": {silent: time.Hour, fills: 64, most: 4},
		"few places":      {silent: time.Hour, fills: 32, most: 2},
		"one place":       {silent: time.Hour, fills: 1, most: 1},
	} {
		t.Run(name, func(t *testing.T) {
			guided(t, list(0, 9, end), func(t *testing.T, g *ahead.Guide, s *shelf, r *http.Request) {
				s.pieces, s.took, s.silent, s.fills = 9, row.took, row.silent, row.fills
				g.Asked(s, r, "http://o/0.ts", true)
				require.Equal(t, names(1, row.most), s.got()[:row.most])
				require.Equal(t, row.most, s.atATime())
				time.Sleep(10 * time.Hour)
			})
		})
	}
}

func TestAPlayerSaysWhatIsNext(t *testing.T) {
	guided(t, list(0, 9, end), func(t *testing.T, g *ahead.Guide, s *shelf, r *http.Request) {
		q := r.Clone(t.Context())
		q.URL.Path = "/0.ts"
		q.Header.Set("CMCD-Request", `nor="6.ts"`)
		g.Asked(s, q, "http://o/0.ts", true)
		require.Equal(t, names(6, 7), s.got())
		q.Header.Set("CMCD-Request", `nor="http://other/x.ts"`)
		g.Asked(s, q, "http://o/0.ts", true)
		require.Equal(t, names(1, 2), s.got())
	})
}
