package cache_test

import (
	"fmt"
	"io"
	"iter"
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

func TestAheadOfAHostilePlaylist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, list := range map[string]string{
			"many segments":       film(50_000),
			"too long to be read": "#EXTM3U\n#" + strings.Repeat("x", 8<<20) + "\n" + film(9),
			"one URL":             "#EXTM3U\n#EXTINF:4,\n0.ts\n" + strings.Repeat("#EXTINF:4,\n1.ts\n", 50_000) + "#EXT-X-ENDLIST\n",
			"other hosts":         "#EXTM3U\n#EXTINF:4,\n0.ts\n#EXTINF:4,\nhttp://internal/1.ts\n#EXTINF:4,\n//o:81/2.ts\n#EXTINF:4,\nhttps://o/3.ts\n#EXTINF:4,\nfile:///4.ts\n#EXTINF:4,\nhttp://me:pw@o/5.ts\n",
			"keys and playlists":  "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"k1\"\n#EXTINF:4,\n0.ts\n#EXT-X-KEY:METHOD=AES-128,URI=\"k2\"\n#EXT-X-SESSION-DATA:URI=\"x\"\n",
			"gaps":                "#EXTM3U\n#EXTINF:4,\n0.ts\n#EXT-X-GAP\n#EXTINF:4,\n1.ts\n#EXTINF:4,\n#EXT-X-GAP\n2.ts\n",
			"long names":          "#EXTM3U\n#EXTINF:4,\n0.ts\n#EXTINF:4,\n" + strings.Repeat("y", 1<<20) + ".ts\n",
			"variables":           "#EXTM3U\n#EXTINF:4,\n0.ts\n#EXTINF:4,\n{$host}/1.ts\n",
			"ranges out of reach": "#EXTM3U\n#EXTINF:4,\n0.ts\n#EXTINF:4,\n#EXT-X-BYTERANGE:2007199254740990@2007199254740990\n1.ts\n#EXTINF:4,\n#EXT-X-BYTERANGE:5\n2.ts\n",
		} {
			o := newSite(map[string]string{"/list.m3u8": list, "evil/list.m3u8": "#EXTM3U\n#EXTINF:4,\nhttp://o/0.ts\n#EXTINF:4,\nhttp://o/secret.ts\n#EXT-X-ENDLIST\n"})
			c := ahead(t, o, 2)
			settled(t, c, "http://o/list.m3u8")
			settled(t, c, "http://evil/list.m3u8")
			settled(t, c, "http://o/0.ts")
			switch name {
			case "many segments":
				require.Equal(t, paths(0, 2), o.took(), name)
				settled(t, c, "http://o/49999.ts")
				require.Equal(t, paths(49_999, 49_999), o.took(), name)
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
	if raceEnabled {
		t.Skip("heap says nothing under the race detector")
	}
	o := newSite(map[string]string{})
	var b strings.Builder
	b.WriteString("#EXTM3U\n")
	for i := range 5000 {
		fmt.Fprintf(&b, "#EXTINF:4,\n%s%d.ts\n", strings.Repeat("n", 200), i)
	}
	c := &cache.Transport{Base: o, Store: cache.NewMemory(4 << 20), Ahead: 2}
	before := heap()
	for i := range 24 {
		name := fmt.Sprintf("/%d/list.m3u8", i)
		o.set(name, b.String())
		fetch(t, c, "http://o"+name)
		o.set(name, "")
	}
	require.Less(t, heap()-before, int64(40<<20))
	require.Zero(t, c.Stats().Fills)
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

// After an answer that the origin refuses, or that is one viewer's alone, nothing is fetched ahead.
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
	whole := strings.Repeat(string(noise(64<<10+1, 1)), 336)[:7*segment]
	var list strings.Builder
	list.WriteString("#EXTM3U\n#EXT-X-TARGETDURATION:4\n")
	for i := range 7 {
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
			a := reply{header: head("Content-Type", "video/mp2t", "ETag", `"a"`, "Accept-Ranges", "bytes"), body: strings.NewReader(whole)}
			var from, to int
			if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); n == 2 {
				a.status, a.body = 206, strings.NewReader(whole[from:to+1])
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
		require.Equal(t, whole[segment:2*segment], body)
		time.Sleep(time.Second)
		require.Equal(t, []string{"bytes=6291456-8388607", "bytes=8388608-10485759"}, took(), "of the third; the second was there")
		require.EqualValues(t, 2, c.Stats().Prefetched)
		require.EqualValues(t, 1, c.Stats().PrefetchedUsed)
		settled(t, c, "http://o/all.ts", "Range", "bytes=6291456-9437183", "Cmcd-Request", `nrr="15728640-18874367"`)
		require.Equal(t, []string{"bytes=14680064-16777215", "bytes=16777216-18874367"}, took(), "as the player says")
	})
}

// A fetch ahead has the key of the viewer's next request, which includes the link.
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

// Names with variables, and names with inherited parameters, are known through Refs. Refs may list keys as well.
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

// A panic of a hook in a fetch ahead ends only that fetch.
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
