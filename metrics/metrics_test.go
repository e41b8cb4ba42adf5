package metrics_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/audience"
	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/metrics"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// pool has two origins. One is out.
type pool struct{}

func (pool) State() []origin.OriginState {
	return []origin.OriginState{
		{Origin: "http://user:secret@a.example", Healthy: true, Requests: 7, Errors: 1, InFlight: 2, Latency: 30 * time.Millisecond},
		{Origin: "http://b.example", Requests: 3, Errors: 3},
	}
}

func watching(t *testing.T, streams int) *audience.Audience {
	t.Helper()
	a := &audience.Audience{}
	h := a.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "#EXTM3U\n") }))
	for i := range streams {
		for j := range i + 1 {
			r := httptest.NewRequest("GET", fmt.Sprintf("/live/s%02d/v.m3u8", i), nil)
			r.Header.Set("User-Agent", fmt.Sprint(i, j))
			r.Header.Set("Cmcd-Status", "bs")
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	return a
}

func everything(t *testing.T) *metrics.Collector {
	c := metrics.New(metrics.Config{
		Cache: metrics.CacheStats(func() cache.Stats {
			return cache.Stats{Hits: 5, Misses: 2, StoreBytes: 100, Fills: 1, Prefetched: 7, PrefetchedUsed: 6}
		}),
		Pool: pool{}, Audience: watching(t, 3), Node: func() metrics.NodeStats { return metrics.NodeStats{FromNodes: 4, Hedged: 7, Unheard: 8} },
	})
	c.OnFill(cache.Fill{Wait: 20 * time.Millisecond})
	c.OnFill(cache.Fill{Wait: time.Second, Err: errors.New("x")})
	c.OnServed(audience.Served{Kind: "segment", Cache: "hit", Status: 200, Bytes: 1000, First: 3 * time.Millisecond})
	c.OnServed(audience.Served{Kind: "playlist", Status: 999})
	return c
}

func TestNamesAreThoseOfPrometheus(t *testing.T) {
	problems, err := testutil.CollectAndLint(everything(t))
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestCollect(t *testing.T) {
	c := everything(t)
	require.NoError(t, prometheus.NewPedanticRegistry().Register(c))
	text := scrape(t, c)
	for _, line := range []string{
		`hlsproxy_cache_requests_total{result="hit"} 5`, `hlsproxy_cache_bytes_total{from="store"} 100`, `hlsproxy_cache_fills 1`,
		`hlsproxy_cache_prefetched_total 7`, `hlsproxy_cache_prefetched_used_total 6`,
		`hlsproxy_origin_up{origin="http://a.example"} 1`, `hlsproxy_origin_up{origin="http://b.example"} 0`, `hlsproxy_origin_errors_total{origin="http://b.example"} 3`,
		`hlsproxy_origin_latency_seconds{origin="http://a.example"} 0.03`,
		`hlsproxy_audience_viewers{stream="/live/s02/"} 3`, `hlsproxy_audience_stalls{stream="/live/s02/"} 3`, `hlsproxy_audience_streams 3`,
		`hlsproxy_node_questions_total{way="from_nodes"} 4`, `hlsproxy_node_hedged_total 7`, `hlsproxy_node_unheard_total 8`,
		`hlsproxy_origin_wait_seconds_count{result="failed"} 1`,
		`hlsproxy_first_byte_seconds_bucket{cache="hit",kind="segment",le="0.005"} 1`, `hlsproxy_viewer_bytes_total{kind="segment",status="2xx"} 1000`,
		`hlsproxy_viewer_requests_total{kind="playlist",status="broken"} 1`,
	} {
		require.Contains(t, text, line+"\n")
	}
	require.NotContains(t, text, "secret")
	require.Empty(t, scrape(t, metrics.New(metrics.Config{})))
}

func TestStreamsAreBounded(t *testing.T) {
	a := watching(t, 30)
	text := scrape(t, metrics.New(metrics.Config{Audience: a}))
	require.Equal(t, 21, strings.Count(text, "hlsproxy_audience_viewers{"))
	require.Contains(t, text, `hlsproxy_audience_viewers{stream="/live/s29/"} 30`)
	require.Contains(t, text, `hlsproxy_audience_viewers{stream="other"} 55`)
	text = scrape(t, metrics.New(metrics.Config{Audience: a, Streams: -1}))
	require.Equal(t, 30, strings.Count(text, "hlsproxy_audience_viewers{"))
	text = scrape(t, metrics.New(metrics.Config{Pool: pool{}, Origins: 1}))
	require.Equal(t, 1, strings.Count(text, "hlsproxy_origin_up{"))
}

func scrape(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	reg := prometheus.NewRegistry()
	require.NoError(t, reg.Register(c))
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, 200, w.Code)
	return w.Body.String()
}

// The numbers of a running chain are those of its requests.
func TestScrapeOfARunningChain(t *testing.T) {
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Type", "video/mp2t")
		w.Write(make([]byte, 1000))
	}))
	defer o.Close()
	guard, err := origin.NewGuard(origin.GuardConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	require.NoError(t, err)
	shared := &cache.Transport{Base: guard.Transport(), Store: cache.NewMemory(1 << 20)}
	watch := &audience.Audience{}
	c := metrics.New(metrics.Config{Cache: shared, Audience: watch})
	shared.OnFill, watch.OnServed = c.OnFill, c.OnServed
	s := httptest.NewServer(watch.Handler(&origin.Proxy{
		Upstream: func(u *url.URL) (string, error) { return o.URL + u.RequestURI(), nil }, Transport: shared, OnFailure: watch.OnFailure,
	}))
	defer s.Close()
	for range 3 {
		resp, err := http.Get(s.URL + "/live/a/1.ts")
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	require.Eventually(t, func() bool {
		text := scrape(t, c)
		for _, line := range []string{
			`hlsproxy_cache_requests_total{result="hit"} 2`, `hlsproxy_cache_requests_total{result="miss"} 1`, `hlsproxy_origin_wait_seconds_count{result="whole"} 1`,
			`hlsproxy_first_byte_seconds_count{cache="hit",kind="segment"} 2`, `hlsproxy_viewer_bytes_total{kind="segment",status="2xx"} 3000`,
			`hlsproxy_audience_viewers{stream="/live/a/"} 1`,
		} {
			if !strings.Contains(text, line+"\n") {
				return false
			}
		}
		return true
	}, time.Minute, 10*time.Millisecond)
}

// The dashboard uses only metrics that exist.
func TestTheDashboardKnowsTheNames(t *testing.T) {
	text, err := os.ReadFile("dashboard.json")
	require.NoError(t, err)
	var dashboard struct {
		Title  string
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	require.NotEmpty(t, dashboard.Title)
	require.GreaterOrEqual(t, len(dashboard.Panels), 8)
	there := scrape(t, everything(t))
	page, err := os.ReadFile("../docs/watch.md")
	require.NoError(t, err)
	name := regexp.MustCompile(`hlsproxy_[a-z_]+`)
	var asked []string
	for _, p := range dashboard.Panels {
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			found := name.FindAllString(target.Expr, -1)
			require.NotEmpty(t, found, p.Title)
			asked = append(asked, found...)
		}
	}
	asked = append(asked, name.FindAllString(string(page), -1)...)
	slices.Sort(asked)
	for _, n := range slices.Compact(asked) {
		require.Regexp(t, `(?m)^`+n+`(_bucket|_count|_sum)?(\{| )`, there, n)
	}
}

// Names are redacted. Two origins that differ only in what is left out still have a series each.
func TestOriginsThatLookAlike(t *testing.T) {
	long := "http://cdn.example/customer" + strings.Repeat("0", 60)
	p, err := origin.NewPool(origin.PoolConfig{Origins: []string{long + "1", long + "2", "http://b.example"}})
	require.NoError(t, err)
	text := scrape(t, metrics.New(metrics.Config{Pool: p}))
	require.Equal(t, 3, strings.Count(text, "hlsproxy_origin_up{"), text)
}
