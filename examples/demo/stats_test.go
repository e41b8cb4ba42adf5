package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

func answer(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(body)) })
}

func TestMeterSamplesRatesEverySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hits, joins, ahead atomic.Uint64
		var origin traffic
		m := newMeter(func() cache.Stats {
			return cache.Stats{Hits: hits.Load(), Joins: joins.Load(), Prefetched: ahead.Load()}
		}, origin.counts)
		hits.Store(1000) // before the first sample
		ctx, cancel := context.WithCancel(t.Context())
		go m.run(ctx)
		synctest.Wait()
		hits.Store(1007)
		joins.Store(2)
		ahead.Store(3)
		get(origin.count(answer("x")), "/live/v0/1.m4s")
		get(m.served.count(answer("x")), "/hls/live/v0/index.m3u8")
		m.note("cache off")
		time.Sleep(1500 * time.Millisecond)
		hits.Store(1010)
		time.Sleep(time.Second)
		cancel()
		synctest.Wait()
		require.Equal(t, []sample{{Requests: 1, Hits: 7, Joins: 2, Origin: 1, Ahead: 3, Note: "cache off"}, {Hits: 3}}, m.samples)
	})
}

func TestMeterKeepsTwoMinutes(t *testing.T) {
	m := newMeter(nil, nil)
	for i := range history + 30 {
		m.add(sample{Viewers: i})
	}
	require.Len(t, m.samples, history)
	require.Equal(t, 30, m.samples[0].Viewers)
}

// The count has a limit, however many names a client gives itself.
func TestViewersAreCountedUpToALimit(t *testing.T) {
	m := newMeter(nil, nil)
	h := m.watch(answer("x"))
	for i := range crowded + 100 {
		r := httptest.NewRequest(http.MethodGet, "/hls/live/master.m3u8", nil)
		r.Header.Set("User-Agent", strconv.Itoa(i))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, "x", w.Body.String())
	}
	require.Equal(t, crowded, m.viewers())
}

func TestViewersAreThoseWhoAskedLately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(nil, nil)
		h := m.watch(answer("x"))
		ask := func(address, agent string) {
			r := httptest.NewRequest(http.MethodGet, "/hls/live/master.m3u8", nil)
			r.RemoteAddr, r.Header = address, http.Header{"User-Agent": {agent}}
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
		ask("192.0.2.1:1000", "a")
		ask("192.0.2.1:1001", "a")
		ask("192.0.2.1:1000", "b")
		ask("[2001:db8::1]:1000", "a")
		require.Equal(t, 3, m.viewers())
		time.Sleep(present - time.Second)
		ask("192.0.2.1:2000", "b")
		time.Sleep(2 * time.Second)
		require.Equal(t, 1, m.viewers())
	})
}

func TestStatsAreJSON(t *testing.T) {
	d, err := newDemo(answer("12"))
	require.NoError(t, err)
	defer d.kill()
	get(d.meter.watch(answer("12345")), "/hls/live/v0/index.m3u8")
	get(d.meter.watch(answer("123")), "/hls/live/v0/7.m4s")
	get(d.meter.watch(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) })), "/signed/x.ts")
	get(d.meter.watch(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusBadGateway) })), "/hls/x.ts")
	get(d.origins[1].handler, "/live/v0/init.mp4")
	d.origins[0].kill()
	w := httptest.NewRecorder()
	d.stats(w, httptest.NewRequest(http.MethodGet, "/stats", nil))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	var got map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	traffic := func(playlists, segments, bytes, refused, failed float64) map[string]any {
		return map[string]any{"playlists": playlists, "segments": segments, "bytes": bytes, "refused": refused, "failed": failed}
	}
	of := func(name string, up bool, counts map[string]any) map[string]any {
		counts["name"], counts["up"], counts["healthy"] = name, up, true
		return counts
	}
	require.Equal(t, map[string]any{
		"viewers": 1.0, "simulated": 0.0, "cache": true, "hits": 0.0, "joins": 0.0, "misses": 0.0, "ahead": 0.0, "used": 0.0,
		"served":  traffic(1, 3, 8, 1, 1),
		"origin":  traffic(0, 1, 2, 0, 0),
		"origins": []any{of("A", false, traffic(0, 0, 0, 0, 0)), of("B", true, traffic(0, 1, 2, 0, 0))},
		"history": []any{},
	}, got)
}

func TestCountingLetsFlushesThrough(t *testing.T) {
	var m traffic
	w := get(m.count(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.NoError(t, http.NewResponseController(w).Flush())
	})), "/x.ts")
	require.True(t, w.Flushed)
}
