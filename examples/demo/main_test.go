package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve/servetest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// witness counts at the origin how often it gave each answer. A playlist that has changed is another answer.
type witness struct {
	next http.Handler

	mu   sync.Mutex
	gave map[string]int
}

func (o *witness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := httptest.NewRecorder()
	o.next.ServeHTTP(rec, r)
	o.mu.Lock()
	o.gave[fmt.Sprintf("%s %d %x", r.URL, rec.Code, sha256.Sum256(rec.Body.Bytes()))]++
	o.mu.Unlock()
	w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes())
}

// segments counts the media files that were sent, with initialization segments.
func (o *witness) segments() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for answer := range o.gave {
		if !strings.Contains(answer, ".m3u8") {
			n++
		}
	}
	return n
}

// stage is the demo in one process: origins, chain and page, each over TCP.
type stage struct {
	*demo
	origin *witness
	url    string
}

func newStage(t *testing.T, lowLatency bool) *stage {
	t.Helper()
	stream := newLiveOrigin(time.Now, lowLatency)
	live, err := stream.handler()
	require.NoError(t, err)
	s := &stage{origin: &witness{next: live, gave: map[string]int{}}}
	s.demo, err = newDemo(s.origin)
	require.NoError(t, err)
	t.Cleanup(s.kill)
	front, err := s.site("", stream)
	require.NoError(t, err)
	public := httptest.NewServer(front)
	t.Cleanup(public.Close)
	s.url = public.URL
	return s
}

func (d *demo) kill() {
	for _, o := range d.origins {
		o.kill()
	}
}

func TestTheOriginIsAskedOncePerSegmentAndPlaylistChange(t *testing.T) {
	t.Parallel()
	for _, master := range []string{"/hls/live/master.m3u8", "/hls/live/ts/master.m3u8"} {
		t.Run(master, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, false)
			// Three tracks, from three segments behind the edge to two that were not there at the start.
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			go func() {
				for ctx.Err() == nil && s.origin.segments() < 3*(3+2) {
					time.Sleep(20 * time.Millisecond)
				}
				cancel()
			}()
			newCrowd(500*time.Millisecond).run(ctx, s.url+master, 20, func(err error) { t.Error(err) })

			require.GreaterOrEqual(t, s.origin.segments(), 3*(3+2))
			s.origin.mu.Lock()
			defer s.origin.mu.Unlock()
			for answer, times := range s.origin.gave {
				require.Equal(t, 1, times, answer)
				require.Contains(t, answer, " 200 ")
			}
			require.Equal(t, 20, s.meter.viewers())
			counts := s.meter.cached()
			require.NotZero(t, counts.Joins)
			require.Greater(t, counts.Hits+counts.Joins, 5*counts.Misses)
			// A request is no miss if all its viewers leave before the answer comes.
			require.LessOrEqual(t, counts.Misses, uint64(len(s.origin.gave)))
		})
	}
}

func TestThePublicSide(t *testing.T) {
	t.Parallel()
	s := newStage(t, false)
	for root, ext := range map[string]string{"/hls/live/": ".m4s", "/hls/live/ts/": ".ts"} {
		p, ok := decode(t, fetch(t, s.url+root+"master.m3u8", http.StatusOK)).(*m3u8.MasterPlaylist)
		require.True(t, ok)
		uris := []string{p.GetAllAlternatives()[0].URI}
		for _, v := range p.Variants {
			uris = append(uris, v.URI)
		}
		require.Len(t, uris, 3)
		for _, uri := range uris {
			require.Regexp(t, "^"+root+"[av][01]/index.m3u8$", uri)
			list := decode(t, fetch(t, s.url+uri, http.StatusOK)).(*m3u8.MediaPlaylist)
			require.Len(t, list.GetAllSegments(), window)
			if ext == ".m4s" {
				require.Equal(t, strings.TrimSuffix(uri, "index.m3u8")+"init.mp4", list.Map.URI)
				fetch(t, s.url+list.Map.URI, http.StatusOK)
			}
			for _, segment := range list.GetAllSegments() {
				require.Regexp(t, "^"+root+`[av][01]/\d+\`+ext+"$", segment.URI)
			}
			fetch(t, s.url+list.GetAllSegments()[0].URI, http.StatusOK)
		}
	}
	fetch(t, s.url+"/hls/live/v0/0.m4s", http.StatusNotFound)
	fetch(t, s.url+"/hls/live/nothing", http.StatusNotFound)
}

func TestRangesOfASegment(t *testing.T) {
	t.Parallel()
	s := newStage(t, false)
	list := decode(t, fetch(t, s.url+"/hls/live/v1/index.m3u8", http.StatusOK)).(*m3u8.MediaPlaylist)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+list.GetAllSegments()[3].URI, nil)
	require.NoError(t, err)
	req.Header.Set("Range", "bytes=4-7")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusPartialContent, resp.StatusCode)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "moof", string(body))
}

func fetch(t *testing.T, url string, status int) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Header.Set("Origin", "https://page.example")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, status, resp.StatusCode, url)
	if strings.Contains(url, "/hls/") {
		require.Equal(t, []string{"*"}, resp.Header.Values("Access-Control-Allow-Origin"), url)
	}
	return string(body)
}

func TestALivePlaylistIsKeptUntilItsNextSegmentIsDue(t *testing.T) {
	epoch := time.Now().Add(-time.Hour)
	body, err := media(99, epoch, func(n int64) string { return fmt.Sprint(n, ".ts") }, "")
	require.NoError(t, err)
	ends := epoch.Add(100 * segmentTime)
	entry := func(at time.Time) *cache.Entry {
		return &cache.Entry{
			URL: "http://origin/live/v0/index.m3u8", Status: http.StatusOK, Time: at,
			Header: http.Header{"Content-Type": {playlistType}}, Body: cache.Bytes(body),
		}
	}
	require.InDelta(t, segmentTime, untilNextSegment(entry(ends)), float64(time.Millisecond))
	require.InDelta(t, 20*time.Millisecond, untilNextSegment(entry(ends.Add(segmentTime-20*time.Millisecond))), float64(time.Millisecond))
	require.LessOrEqual(t, untilNextSegment(entry(ends.Add(time.Minute))), time.Duration(0), "overdue: not kept")
	require.Equal(t, targetDuration*time.Second, untilNextSegment(entry(ends.Add(-time.Hour))), "a clock that is wrong does no lasting harm")

	other := entry(ends)
	other.Header = http.Header{"Content-Type": {"video/mp4"}}
	require.Equal(t, cache.HLS(other), untilNextSegment(other))
	broken := entry(ends)
	broken.Body = cache.Bytes([]byte("#EXTM3U\n"))
	require.Equal(t, cache.HLS(broken), untilNextSegment(broken))
}

func TestALowLatencyPlaylistIsKeptByTheRulesOfTheDraft(t *testing.T) {
	l := &lowLatency{o: newLiveOrigin(time.Now, true), segmentURI: (&shape{ext: ".m4s"}).uri, partURI: (&shape{ext: ".m4s"}).partURI}
	entry := func(query string) *cache.Entry {
		return &cache.Entry{
			URL: "http://origin/live/v0/index.m3u8" + query, Status: http.StatusOK, Time: time.Now(),
			Header: http.Header{"Content-Type": {playlistType}}, Body: cache.Bytes(l.encode(l.o.lastPart(), false)),
		}
	}
	require.Equal(t, targetDuration*time.Second/2, untilNextSegment(entry("")))
	require.Equal(t, 6*targetDuration*time.Second, untilNextSegment(entry("?_HLS_msn=9&_HLS_part=0")))
}

func TestRunServesUntilItIsTold(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "hls.js")
	require.NoError(t, os.WriteFile(script, []byte("const Hls = 1"), 0o600))
	base := servetest.Start(t, run, "-viewers", "3", "-hlsjs", script).URL
	require.Contains(t, fetch(t, base+"/", http.StatusOK), `data-hlsjs="/hls.js"`)
	require.Equal(t, "const Hls = 1", fetch(t, base+"/hls.js", http.StatusOK))
	require.Contains(t, fetch(t, base+"/hls/live/master.m3u8", http.StatusOK), "/hls/live/v0/index.m3u8")
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.Contains(c, fetch(t, base+"/stats", http.StatusOK), `"viewers":2`) // the first of the crowd, and this test
	}, time.Minute, 100*time.Millisecond)
}

func TestRunRefusesWhatCannotWork(t *testing.T) {
	busy := httptest.NewServer(http.NotFoundHandler())
	defer busy.Close()
	address, none := busy.Listener.Addr().String(), filepath.Join(t.TempDir(), "none.js")
	for name, row := range map[string]struct {
		args []string
		says string
	}{
		"crowd too large": {[]string{"-viewers", "501"}, "-viewers 501: give a number from 0 to 500"},
		"no such file":    {[]string{"-hlsjs", none}, `-hlsjs "` + none + `"`},
		"address taken":   {[]string{"-addr", address}, `-addr "` + address + `"`},
		"argument":        {[]string{"x"}, `"x"`},
	} {
		require.Contains(t, servetest.Fails(t, run, row.args...), row.says, name)
	}
}

func TestThePageIsWhole(t *testing.T) {
	t.Parallel()
	s := newStage(t, false)
	page := fetch(t, s.url+"/", http.StatusOK)
	require.Contains(t, page, `data-hlsjs="`+cdn+`"`)
	require.Contains(t, page, "<b>100 ms</b>")
	resp, err := http.Get(s.url + "/")
	require.NoError(t, err)
	resp.Body.Close()
	require.Contains(t, resp.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
	for _, asset := range []string{"/page.css", "/page.js", "/player.js", "/chain.js", "/chart.js"} {
		require.NotEmpty(t, fetch(t, s.url+asset, http.StatusOK))
		require.Contains(t, page+fetch(t, s.url+"/page.js", http.StatusOK), strings.TrimPrefix(asset, "/"))
	}
	fetch(t, s.url+"/hls.js", http.StatusNotFound)
	fetch(t, s.url+"/index.html", http.StatusNotFound)
}
