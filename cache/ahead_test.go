package cache_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// site is an origin of files that counts what it is asked for.
type site struct {
	think time.Duration // before each header of what is no playlist
	more  func(r *http.Request) (reply, bool)

	mu    sync.Mutex
	files map[string]string
	asked map[string]int
	log   []string
}

func newSite(files map[string]string) *site {
	return &site{files: files, asked: map[string]int{}}
}

func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	name := r.URL.Host + r.URL.Path
	if q := r.URL.RawQuery; q != "" {
		name += "?" + q
	}
	name = strings.TrimPrefix(name, "o")
	s.mu.Lock()
	s.asked[name]++
	s.log = append(s.log, name)
	text, ok := s.files[name]
	s.mu.Unlock()
	if !strings.Contains(name, ".m3u8") {
		time.Sleep(s.think)
	}
	if s.more != nil {
		if a, ok := s.more(r); ok {
			return a.response(r), nil
		}
	}
	switch {
	case strings.Contains(name, ".m3u8") && ok:
		return reply{header: head("Content-Type", "application/vnd.apple.mpegurl"), body: strings.NewReader(text)}.response(r), nil
	case strings.Contains(name, "missing"):
		return reply{status: 404}.response(r), nil
	}
	return reply{header: head("Content-Type", "video/mp2t"), body: strings.NewReader("segment " + strings.TrimSuffix(name, ".ts"))}.response(r), nil
}

func (s *site) set(name, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[name] = text
}

// took is what was asked for since the last call, playlists left out, in the order of names.
func (s *site) took() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := slices.DeleteFunc(s.log, func(name string) bool { return strings.Contains(name, ".m3u8") })
	s.log = nil
	slices.Sort(names)
	return names
}

func (s *site) counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.asked)
}

func paths(first, last int) (names []string) {
	for i := first; i <= last; i++ {
		names = append(names, fmt.Sprintf("/%d.ts", i))
	}
	return names
}

func film(n int) string {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-PLAYLIST-TYPE:VOD\n")
	for i := range n {
		fmt.Fprintf(&b, "#EXTINF:4,\n%d.ts\n", i)
	}
	return b.String() + "#EXT-X-ENDLIST\n"
}

// settled asks for url, and waits for what that leads to.
func settled(t *testing.T, c http.RoundTripper, url string, header ...string) (status string) {
	t.Helper()
	resp, _ := fetch(t, c, url, header...)
	time.Sleep(3 * time.Second)
	synctest.Wait()
	return resp.Header.Get("Cache-Status")
}

func ahead(t *testing.T, o *site, n int) *cache.Transport {
	return &cache.Transport{Base: o, Store: store(t), Ahead: n}
}

func TestAheadOfAFilm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newSite(map[string]string{"/list.m3u8": film(20)})
		c := ahead(t, o, 3)
		settled(t, c, "http://o/list.m3u8")
		require.Empty(t, o.took(), "nobody plays yet")
		require.Contains(t, settled(t, c, "http://o/0.ts"), "fwd=uri-miss")
		require.Equal(t, paths(0, 3), o.took())
		for i := 1; i < 10; i++ {
			require.Equal(t, "hlsproxy; hit", settled(t, c, fmt.Sprintf("http://o/%d.ts", i)))
		}
		require.ElementsMatch(t, paths(4, 12), o.took(), "three ahead of the last one that was asked for")
		s := c.Stats()
		require.EqualValues(t, 12, s.Prefetched)
		require.EqualValues(t, 9, s.PrefetchedUsed)
		require.EqualValues(t, 2, s.Misses, "what viewers had to wait for: the playlist and the first segment")
		require.EqualValues(t, 9, s.Hits)

		time.Sleep(time.Hour / 2)
		require.Empty(t, o.took(), "nobody plays any longer")

		require.Contains(t, settled(t, c, "http://o/18.ts"), "fwd=uri-miss")
		require.Equal(t, paths(18, 19), o.took(), "a jump, and the end")
		require.Equal(t, "hlsproxy; hit", settled(t, c, "http://o/2.ts", "Range", "bytes=0-1"))
		require.Empty(t, o.took(), "a jump back to what is there")
	})
}

func TestAheadIsOffByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []*cache.Transport{{Store: store(t)}, {Store: store(t), Ahead: -1}, {Ahead: 3}} {
			o := newSite(map[string]string{"/list.m3u8": film(20)})
			c.Base = o
			settled(t, c, "http://o/list.m3u8")
			settled(t, c, "http://o/0.ts")
			require.Equal(t, paths(0, 0), o.took())
		}
	})
}

func TestAheadOfALiveStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newSite(nil)
		o.files = map[string]string{}
		window := func(first, last int) {
			var names []string
			for i := first; i <= last; i++ {
				names = append(names, fmt.Sprintf("%d.ts", i))
			}
			o.set("/list.m3u8", strings.Replace(live(4, names...), "MEDIA-SEQUENCE:1", fmt.Sprintf("MEDIA-SEQUENCE:%d", first), 1))
		}
		c := ahead(t, o, 2)
		window(1, 5)
		settled(t, c, "http://o/list.m3u8")
		settled(t, c, "http://o/3.ts")
		require.Equal(t, paths(3, 5), o.took())
		settled(t, c, "http://o/4.ts")
		settled(t, c, "http://o/5.ts")
		require.Empty(t, o.took(), "there is no more")
		window(2, 6)
		settled(t, c, "http://o/list.m3u8")
		require.Equal(t, paths(6, 6), o.took(), "as soon as a playlist names it")
		require.Equal(t, "hlsproxy; hit", settled(t, c, "http://o/6.ts"))
		time.Sleep(time.Minute)
		window(12, 16)
		settled(t, c, "http://o/list.m3u8")
		require.Empty(t, o.took(), "who only looks at the playlist watches nothing")
	})
}

func TestAheadInLowLatency(t *testing.T) {
	const list = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=3\n#EXT-X-PART-INF:PART-TARGET=1\n" +
		"#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:4,\n7.ts\n#EXTINF:4,\n8.ts\n" +
		"#EXT-X-PART:DURATION=1,URI=\"9.0.ts\"\n#EXT-X-PART:DURATION=1,URI=\"9.1.ts\"\n#EXT-X-PART:DURATION=1,URI=\"9.2.ts\",GAP=YES\n" +
		"#EXT-X-PART:DURATION=1,URI=\"9.3.ts\"\n#EXTINF:4,\n9.ts\n#EXT-X-PART:DURATION=1,URI=\"10.0.ts\"\n"
	const hint = "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"10.1.ts\"\n#EXT-X-RENDITION-REPORT:URI=\"other.m3u8\",LAST-MSN=9\n"
	synctest.Test(t, func(t *testing.T) {
		o := newSite(map[string]string{"/list.m3u8": list + hint})
		c := ahead(t, o, 4)
		settled(t, c, "http://o/list.m3u8")
		settled(t, c, "http://o/9.0.ts")
		require.Equal(t, []string{"/10.0.ts", "/9.0.ts", "/9.1.ts", "/9.3.ts"}, o.took(), "parts after parts, no gap, no hint")
		settled(t, c, "http://o/7.ts")
		require.Equal(t, paths(7, 9), o.took(), "segments after segments")
		settled(t, c, "http://o/10.1.ts", "Cmcd-Request", `nor="10.1.ts"`) // as players ask for what is hinted at
		o.took()
		o.set("/list.m3u8?_HLS_msn=10&_HLS_part=2", list+"#EXT-X-PART:DURATION=1,URI=\"10.1.ts\"\n#EXT-X-PART:DURATION=1,URI=\"10.2.ts\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"10.3.ts\"\n")
		settled(t, c, "http://o/list.m3u8?_HLS_msn=10&_HLS_part=2")
		require.Equal(t, []string{"/10.2.ts"}, o.took())
		require.Equal(t, map[string]int{"/list.m3u8": 1, "/list.m3u8?_HLS_msn=10&_HLS_part=2": 1}, lists(o.counts()), "no playlist is asked for")

		const delta = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-VERSION:9\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n#EXTINF:4,\n8.ts\n#EXTINF:4,\n9.ts\n#EXTINF:4,\n10.ts\n"
		o.set("/list.m3u8?_HLS_msn=11&_HLS_skip=YES", delta)
		settled(t, c, "http://o/list.m3u8?_HLS_msn=11&_HLS_skip=YES")
		settled(t, c, "http://o/7.ts")
		require.Equal(t, []string{"/10.ts"}, o.took(), "a delta update leaves out what is known")
	})
}

func lists(counts map[string]int) map[string]int {
	maps.DeleteFunc(counts, func(name string, _ int) bool { return !strings.Contains(name, ".m3u8") })
	return counts
}

func TestAheadAsksOnceForManyViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newSite(map[string]string{"/list.m3u8": film(60)})
		o.think = 300 * time.Millisecond
		c := ahead(t, o, 4)
		settled(t, c, "http://o/list.m3u8")
		var viewers sync.WaitGroup
		for i := range 50 {
			viewers.Go(func() {
				time.Sleep(time.Duration(i*37%20) * time.Second / 4)
				for n := range 50 {
					_, body := fetch(t, c, fmt.Sprintf("http://o/%d.ts", n))
					require.Equal(t, fmt.Sprintf("segment /%d", n), body)
					time.Sleep(4 * time.Second)
				}
			})
		}
		viewers.Wait()
		synctest.Wait()
		for name, n := range o.counts() {
			require.Equal(t, 1, n, name)
		}
		require.Len(t, o.counts(), 1+54)
		s := c.Stats()
		require.EqualValues(t, 53, s.Prefetched)
		require.EqualValues(t, 49, s.PrefetchedUsed)
		require.Zero(t, s.Fills)
	})
}

func TestAheadOfASlowOrigin(t *testing.T) {
	waited := func(n int) (all, worst time.Duration, hits uint64) {
		synctest.Test(t, func(t *testing.T) {
			o := newSite(map[string]string{"/list.m3u8": film(40)})
			o.think = 8 * time.Second // twice as long as a segment plays
			c := ahead(t, o, n)
			fetch(t, c, "http://o/list.m3u8")
			for i := range 30 {
				asked := time.Now()
				fetch(t, c, fmt.Sprintf("http://o/%d.ts", i))
				took := time.Since(asked)
				if all += took; i > 1 {
					worst = max(worst, took)
				}
				time.Sleep(max(4*time.Second-took, 0))
			}
			time.Sleep(time.Minute)
			hits = c.Stats().Hits
		})
		return all, worst, hits
	}
	all, _, hits := waited(0)
	require.Equal(t, 30*8*time.Second, all)
	require.Zero(t, hits)
	all, worst, hits := waited(4)
	require.LessOrEqual(t, all, 18*time.Second, "the first one, and the next, which was asked for when that had come")
	require.LessOrEqual(t, worst, time.Second)
	require.GreaterOrEqual(t, hits, uint64(27))
}

// What a viewer waits for comes with all there is of a line that is slow: the next segments wait for each other.
func TestAheadOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		o := newSite(map[string]string{"/list.m3u8": film(40)})
		o.more = func(r *http.Request) (reply, bool) {
			if !strings.HasSuffix(r.URL.Path, ".ts") {
				return reply{}, false
			}
			mu.Lock()
			defer mu.Unlock()
			now++
			most = max(most, now)
			return reply{header: head("Content-Type", "video/mp2t"), length: 10, body: &drip{left: 10, pause: time.Second, end: func() {
				mu.Lock()
				defer mu.Unlock()
				now--
			}}}, true
		}
		c := ahead(t, o, 4)
		fetch(t, c, "http://o/list.m3u8")
		fetch(t, c, "http://o/0.ts")
		time.Sleep(time.Minute)
		require.Equal(t, paths(0, 4), o.took())
		require.Equal(t, 1, most)
	})
}

// drip is a body that comes slowly.
type drip struct {
	left  int
	pause time.Duration
	end   func()
}

func (d *drip) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(d.pause)
	d.left--
	p[0] = 'x'
	if d.left == 0 {
		d.end()
	}
	return 1, nil
}

func (d *drip) Close() error { return nil }

func TestAheadOfAHostilePlaylist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, list := range map[string]string{
			"many segments":       film(300_000),
			"a million segments":  film(1_000_000),
			"one URL":             "#EXTM3U\n#EXTINF:4,\n0.ts\n" + strings.Repeat("#EXTINF:4,\n1.ts\n", 300_000) + "#EXT-X-ENDLIST\n",
			"other hosts":         "#EXTM3U\n#EXTINF:4,\n0.ts\n#EXTINF:4,\nhttp://internal/1.ts\n#EXTINF:4,\n//o:81/2.ts\n#EXTINF:4,\nhttps://o/3.ts\n#EXTINF:4,\nfile:///4.ts\n#EXTINF:4,\nhttp://me:pw@o/5.ts\n",
			"keys and playlists":  "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"k1\"\n#EXTINF:4,\n0.ts\n#EXT-X-KEY:METHOD=AES-128,URI=\"k2\"\n#EXT-X-SESSION-DATA:URI=\"x\"\n",
			"gaps":                "#EXTM3U\n#EXTINF:4,\n0.ts\n#EXT-X-GAP\n#EXTINF:4,\n1.ts\n#EXTINF:4,\n#EXT-X-GAP\n2.ts\n",
			"long names":          "#EXTM3U\n#EXTINF:4,\n0.ts\n#EXTINF:4,\n" + strings.Repeat("y", 1<<20) + ".ts\n",
			"variables":           "#EXTM3U\n#EXTINF:4,\n0.ts\n#EXTINF:4,\n{$host}/1.ts\n",
			"ranges out of reach": "#EXTM3U\n#EXTINF:4,\n0.ts\n#EXTINF:4,\n#EXT-X-BYTERANGE:2007199254740990@2007199254740990\n1.ts\n#EXTINF:4,\n#EXT-X-BYTERANGE:5\n2.ts\n",
		} {
			o := newSite(map[string]string{"/list.m3u8": list})
			c := ahead(t, o, 2)
			settled(t, c, "http://o/list.m3u8")
			settled(t, c, "http://o/0.ts")
			switch name {
			case "many segments":
				require.Equal(t, paths(0, 2), o.took(), name)
				settled(t, c, "http://o/299999.ts")
				require.Equal(t, paths(299_999, 299_999), o.took(), name)
			case "one URL":
				require.Equal(t, paths(0, 1), o.took(), name)
				settled(t, c, "http://o/1.ts")
				require.Empty(t, o.took(), name)
			default:
				require.Equal(t, paths(0, 0), o.took(), name)
			}
		}
	})
}

func TestAheadOfManyHostilePlaylistsIsBounded(t *testing.T) {
	o := newSite(map[string]string{})
	var b strings.Builder
	b.WriteString("#EXTM3U\n")
	for i := range 5000 {
		fmt.Fprintf(&b, "#EXTINF:4,\n%s%d.ts\n", strings.Repeat("n", 200), i)
	}
	c := &cache.Transport{Base: o, Store: cache.NewMemory(4 << 20), Ahead: 2}
	before := heap()
	for i := range 30 {
		name := fmt.Sprintf("/%d/list.m3u8", i)
		o.set(name, b.String())
		fetch(t, c, "http://o"+name)
		o.set(name, "")
	}
	require.Less(t, heap()-before, int64(40<<20))
	_ = c.Stats()
}

func TestAheadLeavesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, more := range map[string]reply{
			"private":    text("x", "Content-Type", "video/mp2t", "Cache-Control", "private"),
			"no-store":   text("x", "Content-Type", "video/mp2t", "Cache-Control", "no-store"),
			"cookies":    text("x", "Content-Type", "video/mp2t", "Set-Cookie", "a=b"),
			"a key":      text("0123456789abcdef"),
			"missing":    {status: 404},
			"failing":    {status: 503},
			"a redirect": {status: 302, header: head("Location", "http://elsewhere/x.ts", "Cache-Control", "max-age=60")},
		} {
			o := newSite(map[string]string{"/list.m3u8": film(9)})
			o.more = func(r *http.Request) (reply, bool) {
				a := more
				if s, ok := a.body.(*strings.Reader); ok {
					text := make([]byte, s.Size())
					s.ReadAt(text, 0)
					a.body = strings.NewReader(string(text))
				}
				return a, r.URL.Path != "/0.ts" && r.URL.Path != "/list.m3u8"
			}
			c := ahead(t, o, 3)
			fetch(t, c, "http://o/list.m3u8")
			for range 20 {
				fetch(t, c, "http://o/0.ts")
				synctest.Wait()
			}
			require.Equal(t, paths(0, 1), o.took(), "%s: no more is asked for when something could not be had", name)
			require.Zero(t, c.Stats().Prefetched, name)
			resp, _ := fetch(t, c, "http://o/1.ts")
			require.NotContains(t, resp.Header.Get("Cache-Status"), "hit", name)
			require.Equal(t, paths(1, 1), o.took(), name)
		}
	})
}

// Who is refused by the origin, or gets what is his alone, is nobody to run ahead of.
func TestAheadOfWhatCannotBeShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newSite(map[string]string{"/list.m3u8": film(9)})
		o.more = func(r *http.Request) (reply, bool) {
			return text("x", "Content-Type", "video/mp2t", "Cache-Control", "private"), strings.HasSuffix(r.URL.Path, ".ts")
		}
		c := ahead(t, o, 3)
		settled(t, c, "http://o/list.m3u8")
		for i := range 3 {
			settled(t, c, fmt.Sprintf("http://o/%d.ts", i))
		}
		require.Equal(t, paths(0, 2), o.took())
		settled(t, c, "http://o/4.ts", "Cookie", "a=b")
		require.Equal(t, paths(4, 4), o.took())
	})
}

func TestAheadGoesByWhatPlayersSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, tc := range map[string]struct {
			header, query string
			want          []string
		}{
			"the next":             {header: `nor="1.ts"`, want: paths(0, 2)},
			"a later one":          {header: `nor="5.ts"`, want: []string{"/0.ts", "/5.ts", "/6.ts"}},
			"escaped":              {header: `bl=100,nor="%35.ts",su`, want: []string{"/0.ts", "/5.ts", "/6.ts"}},
			"with a token":         {header: `nor="5.ts?token=x"`, want: []string{"/0.ts", "/5.ts", "/6.ts"}},
			"in the query":         {query: "?CMCD=" + url.QueryEscape(`nor="..%2F5.ts",sid="x"`), want: []string{"/0.ts?", "/5.ts", "/6.ts"}},
			"version 2":            {header: `nor=("5.ts" "6.ts")`, want: []string{"/0.ts", "/5.ts", "/6.ts"}},
			"another rendition":    {header: `nor="hi/1.ts"`, want: []string{"/0.ts", "/hi/1.ts", "/hi/2.ts"}},
			"another host":         {header: `nor="http://internal/1.ts"`, want: paths(0, 2)},
			"what nothing names":   {header: `nor="secret.ts"`, want: paths(0, 2)},
			"itself":               {header: `nor="0.ts"`, want: paths(0, 2)},
			"no URL":               {header: `nor="%zz:"`, want: paths(0, 2)},
			"a range, and no list": {header: `nrr="100-200"`, want: paths(0, 2)},
		} {
			o := newSite(map[string]string{"/list.m3u8": film(9), "/hi/list.m3u8": film(9)})
			c := ahead(t, o, 2)
			settled(t, c, "http://o/hi/list.m3u8")
			settled(t, c, "http://o/list.m3u8")
			header := []string{}
			if tc.header != "" {
				header = append(header, "Cmcd-Request", tc.header)
			}
			settled(t, c, "http://o/0.ts"+tc.query, header...)
			took := o.took()
			if tc.query != "" {
				took[0] = took[0][:len("/0.ts?")]
			}
			require.Equal(t, tc.want, took, name)
		}
	})
}

func TestAheadTakesSections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newSite(map[string]string{"/list.m3u8": "#EXTM3U\n#EXT-X-MAP:URI=\"a.mp4\"\n#EXTINF:4,\n0.ts\n#EXTINF:4,\n1.ts\n" +
			"#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"b.mp4\"\n#EXTINF:4,\n2.ts\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"a.mp4\"\n#EXTINF:4,\n3.ts\n#EXT-X-ENDLIST\n"})
		c := ahead(t, o, 2)
		settled(t, c, "http://o/list.m3u8")
		settled(t, c, "http://o/a.mp4")
		require.Equal(t, []string{"/a.mp4"}, o.took(), "that alone does not say where a viewer begins")
		settled(t, c, "http://o/0.ts")
		require.Equal(t, []string{"/0.ts", "/1.ts", "/2.ts", "/b.mp4"}, o.took())
		settled(t, c, "http://o/1.ts")
		require.Equal(t, []string{"/3.ts"}, o.took())
	})
}

func TestAheadOfByteRanges(t *testing.T) {
	const segment = 3 << 20
	whole := noise(10*segment, 1)
	var list strings.Builder
	list.WriteString("#EXTM3U\n#EXT-X-TARGETDURATION:4\n")
	for i := range 10 {
		fmt.Fprintf(&list, "#EXTINF:4,\n#EXT-X-BYTERANGE:%d", segment)
		if i == 0 {
			list.WriteString("@0")
		}
		list.WriteString("\nall.ts\n")
	}
	list.WriteString("#EXT-X-ENDLIST\n")
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var ranges []string
		o := newSite(map[string]string{"/list.m3u8": list.String()})
		o.more = func(r *http.Request) (reply, bool) {
			if r.URL.Path != "/all.ts" {
				return reply{}, false
			}
			mu.Lock()
			defer mu.Unlock()
			ranges = append(ranges, r.Header.Get("Range"))
			a := reply{header: head("Content-Type", "video/mp2t", "ETag", `"a"`, "Accept-Ranges", "bytes"), body: strings.NewReader(string(whole))}
			var from, to int
			if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); n == 2 {
				a.status, a.body = 206, strings.NewReader(string(whole[from:to+1]))
				a.header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(whole)))
			}
			return a, true
		}
		took := func() []string {
			mu.Lock()
			defer mu.Unlock()
			got := ranges
			ranges = nil
			slices.Sort(got)
			return got
		}
		c := &cache.Transport{Base: o, Store: store(t), Ahead: 1, MaxBody: 8 << 20}
		settled(t, c, "http://o/list.m3u8")
		settled(t, c, "http://o/all.ts", "Range", fmt.Sprintf("bytes=0-%d", segment-1))
		require.Equal(t, []string{"", "bytes=0-2097151", "bytes=2097152-4194303", "bytes=4194304-6291455"}, slices.Compact(took()),
			"slices of 2 MiB: the first segment, and the second")
		resp, body := fetch(t, c, "http://o/all.ts", "Range", fmt.Sprintf("bytes=%d-%d", segment, 2*segment-1))
		require.Equal(t, 206, resp.StatusCode)
		require.Equal(t, string(whole[segment:2*segment]), body)
		time.Sleep(time.Second)
		require.Equal(t, []string{"bytes=6291456-8388607", "bytes=8388608-10485759"}, took(), "of the third; the second was there")
		require.EqualValues(t, 2, c.Stats().Prefetched)
		require.EqualValues(t, 1, c.Stats().PrefetchedUsed)
		settled(t, c, "http://o/all.ts", "Range", "bytes=6291456-9437183", "Cmcd-Request", `nrr="18874368-22020095"`)
		require.Equal(t, []string{"bytes=18874368-20971519", "bytes=20971520-23068671"}, took(), "as the player says")
	})
}

// What is asked ahead has the key of what viewers ask for: that of their link.
func TestAheadAsksAsTheLinkSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		tokens := map[string][]string{}
		o := newSite(map[string]string{"/list.m3u8": film(5)})
		o.more = func(r *http.Request) (reply, bool) {
			mu.Lock()
			defer mu.Unlock()
			tokens[r.URL.Path] = append(tokens[r.URL.Path], r.Header.Get("Authorization")+r.Header.Get("X-Site")+r.Header.Get("User-Agent"))
			return reply{}, false
		}
		c := ahead(t, o, 1)
		get := func(l link, u string) string {
			resp, err := c.RoundTrip(l.request(t, u, "User-Agent", "player"))
			require.NoError(t, err)
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			synctest.Wait()
			return resp.Header.Get("Cache-Status")
		}
		a, b := link{token: "a"}, link{token: "b"}
		get(a, "http://o/list.m3u8")
		get(a, "http://o/0.ts")
		require.Equal(t, []string{"Bearer asiteplayer"}, tokens["/1.ts"])
		require.Equal(t, "hlsproxy; hit", get(a, "http://o/1.ts"))
		require.Contains(t, get(b, "http://o/0.ts"), "uri-miss")
		require.Len(t, tokens["/1.ts"], 1, "of the other link's viewer no playlist is known")
		get(b, "http://o/list.m3u8")
		get(b, "http://o/0.ts")
		require.Equal(t, []string{"Bearer asiteplayer", "Bearer bsiteplayer"}, tokens["/1.ts"])
	})
}

func TestAheadTakesNoPlaceOfAViewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for most, want := range map[int]int{1: 1, 2: 1, 32: 2, -1: 9} {
			o := newSite(map[string]string{"/list.m3u8": film(100)})
			c := ahead(t, o, 9)
			c.MaxFills, c.Idle = most, time.Hour
			fetch(t, c, "http://o/list.m3u8")
			settled(t, c, "http://o/0.ts")
			o.think = 30 * time.Minute
			fetch(t, c, "http://o/0.ts", "Cmcd-Request", `nor="50.ts"`)
			time.Sleep(time.Minute)
			require.Equal(t, want, c.Stats().Fills, "with MaxFills %d", most)
			var viewers sync.WaitGroup
			for i := range max(most, 1) {
				viewers.Go(func() {
					_, _, err := try(t, c, fmt.Sprintf("http://o/x%d.ts", i))
					require.NoError(t, err)
				})
			}
			time.Sleep(time.Second)
			if most > 0 {
				_, _, err := try(t, c, "http://o/late.ts")
				require.ErrorIs(t, err, cache.ErrBusy)
			}
			viewers.Wait()
			time.Sleep(5 * time.Hour)
		}
	})
}

func TestAheadIsBoundedByHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newSite(map[string]string{})
		c := ahead(t, o, 8)
		c.MaxFills, c.Idle = 160, time.Hour // 40 in all, 10 of a host
		for i := range 20 {
			o.set(fmt.Sprintf("/%d/list.m3u8", i), film(100))
			fetch(t, c, fmt.Sprintf("http://o/%d/list.m3u8", i))
			fetch(t, c, fmt.Sprintf("http://o/%d/50.ts", i))
			synctest.Wait()
		}
		o.think = 30 * time.Minute
		for i := range 20 {
			go try(t, c, fmt.Sprintf("http://o/%d/50.ts", i), "Cmcd-Request", `nor="5.ts"`)
		}
		time.Sleep(time.Minute)
		require.Equal(t, 10, c.Stats().Fills)
		time.Sleep(5 * time.Hour)
		require.Zero(t, c.Stats().Fills)
	})
}

// Names with variables, and with parameters that are inherited, are known by way of Refs, which may list keys, too.
func TestAheadKnowsWhatRefsMakesOfNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newSite(map[string]string{"/list.m3u8?t=1": "#EXTM3U\n#EXT-X-DEFINE:NAME=\"d\",VALUE=\"x\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"0.ts.key\"\n" +
			"#EXTINF:4,\n0.ts\n#EXT-X-KEY:METHOD=AES-128,URI=\"1.ts.key\"\n#EXTINF:4,\n{$d}/1.ts\n#EXTINF:4,\n../2.ts\n#EXT-X-ENDLIST\n"})
		c := ahead(t, o, 5)
		c.Refs = func([]byte, string) iter.Seq[string] {
			return slices.Values([]string{"http://o/0.ts.key?t=1", "http://o/0.ts?t=1", "http://o/1.ts.key?t=1", "http://o/x/1.ts?t=1", "http://o/2.ts?t=1"})
		}
		settled(t, c, "http://o/list.m3u8?t=1")
		settled(t, c, "http://o/0.ts?t=1")
		require.Equal(t, []string{"/0.ts?t=1", "/2.ts?t=1", "/x/1.ts?t=1"}, o.took())
	})
}

// A crash of a hook in what is fetched ahead ends nothing but that.
func TestAheadSurvivesHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newSite(map[string]string{"/list.m3u8": film(9)})
		o.more = func(r *http.Request) (reply, bool) {
			if r.URL.Path == "/1.ts" {
				panic("hook")
			}
			return reply{}, false
		}
		c := ahead(t, o, 2)
		settled(t, c, "http://o/list.m3u8")
		settled(t, c, "http://o/0.ts")
		require.Zero(t, c.Stats().Fills)
		settled(t, c, "http://o/2.ts")
		time.Sleep(10 * time.Second)
		require.Equal(t, "hlsproxy; hit", settled(t, c, "http://o/2.ts"))
	})
}

// A player plays a film from an origin that takes half a second for each segment. With Ahead it waits for the first one only.
func ExampleTransport_ahead() {
	origin := trip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/film/index.m3u8" {
			return text("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n1.ts\n#EXTINF:4,\n2.ts\n#EXTINF:4,\n3.ts\n#EXT-X-ENDLIST\n").response(r), nil
		}
		return text("segment", "Content-Type", "video/mp2t").response(r), nil
	})
	shared := &cache.Transport{Base: origin, Store: cache.NewMemory(1 << 20), Ahead: 2}
	for _, name := range []string{"index.m3u8", "1.ts", "2.ts", "3.ts"} {
		r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://origin.example/film/"+name, nil)
		resp, err := shared.RoundTrip(r)
		if err != nil {
			panic(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		for name == "1.ts" && shared.Stats().Prefetched < 2 {
			time.Sleep(time.Millisecond) // while it plays
		}
		fmt.Println(name, resp.Header.Get("Cache-Status"))
	}
	// Output:
	// index.m3u8 hlsproxy; fwd=uri-miss; stored
	// 1.ts hlsproxy; fwd=uri-miss; stored
	// 2.ts hlsproxy; hit
	// 3.ts hlsproxy; hit
}
