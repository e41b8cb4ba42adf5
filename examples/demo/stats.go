package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
)

const (
	history = 121             // samples, one a second: the chart's two minutes
	present = 6 * time.Second // a viewer who asked for nothing for so long has gone; players ask every two
)

// traffic counts what passes one place.
type traffic struct {
	playlists, segments, bytes atomic.Int64
}

// count wraps a handler; what is no playlist counts as a segment, init sections too.
func (t *traffic) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path.Ext(r.URL.Path) == ".m3u8" {
			t.playlists.Add(1)
		} else {
			t.segments.Add(1)
		}
		next.ServeHTTP(&countingWriter{w, &t.bytes}, r)
	})
}

func (t *traffic) requests() int64 { return t.playlists.Load() + t.segments.Load() }

// MarshalJSON makes traffic part of the answer of /stats.
func (t *traffic) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]int64{
		"playlists": t.playlists.Load(), "segments": t.segments.Load(), "bytes": t.bytes.Load(),
	})
}

type countingWriter struct {
	http.ResponseWriter
	bytes *atomic.Int64
}

func (w *countingWriter) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	w.bytes.Add(int64(n))
	return n, err
}

func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// sample is one second of the chart.
type sample struct {
	Viewers int    `json:"viewers"`
	Hits    uint64 `json:"hits"`
	Joins   uint64 `json:"joins"`
	Origin  int64  `json:"origin"`
}

// meter knows how the demo is doing.
type meter struct {
	served, origin traffic
	counts         func() cache.Stats

	mu      sync.Mutex
	seen    map[string]time.Time // viewers, by address and User-Agent
	samples []sample             // oldest first
}

func newMeter(counts func() cache.Stats) *meter {
	return &meter{counts: counts, seen: map[string]time.Time{}}
}

// watch wraps the public side of the chain: whoever asks there is a viewer.
func (m *meter) watch(next http.Handler) http.Handler {
	next = m.served.count(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		m.mu.Lock()
		m.seen[host+" "+r.UserAgent()] = time.Now()
		m.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// run takes a sample every second until ctx ends.
func (m *meter) run(ctx context.Context) {
	last, lastOrigin := m.counts(), m.origin.requests()
	for wait(ctx, time.Second) {
		now, nowOrigin := m.counts(), m.origin.requests()
		m.add(sample{
			Viewers: m.viewers(time.Now()), Hits: now.Hits - last.Hits, Joins: now.Joins - last.Joins, Origin: nowOrigin - lastOrigin,
		})
		last, lastOrigin = now, nowOrigin
	}
}

func (m *meter) add(s sample) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.samples = append(m.samples, s)
	if len(m.samples) > history {
		m.samples = append([]sample(nil), m.samples[1:]...)
	}
}

// viewers counts those who are present and forgets the others.
func (m *meter) viewers(now time.Time) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	for who, at := range m.seen {
		if now.Sub(at) > present {
			delete(m.seen, who)
		}
	}
	return len(m.seen)
}

// ServeHTTP answers /stats.
func (m *meter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	counts := m.counts()
	m.mu.Lock()
	samples := append([]sample{}, m.samples...)
	m.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(map[string]any{
		"viewers": m.viewers(time.Now()),
		"hits":    counts.Hits,   // answered from what is stored
		"joins":   counts.Joins,  // answered from a fetch that was running already
		"misses":  counts.Misses, // fetches begun
		"served":  &m.served,
		"origin":  &m.origin,
		"history": samples,
	})
}
