package main

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/audience"
	"github.com/hlsproxy/hlsproxy/cache"
)

const (
	history = 121             // samples, one a second: the chart's two minutes
	present = 6 * time.Second // a viewer without a request for this long has gone; players ask every two seconds
	crowded = 10_000          // viewers at most; more are served, but not counted
)

// sample is one second of the chart.
type sample struct {
	Viewers  int    `json:"viewers"`
	Requests int64  `json:"requests"`
	Hits     uint64 `json:"hits"`
	Joins    uint64 `json:"joins"`
	Origin   int64  `json:"origin"`
	Ahead    uint64 `json:"ahead"` // fetched before a viewer asked
	Refused  int64  `json:"refused"`
	Failed   int64  `json:"failed"`
	Note     string `json:"note,omitempty"` // what a person did
}

// meter measures the demo.
type meter struct {
	served   traffic
	audience audience.Audience
	cached   func() cache.Stats
	origin   func() counts

	mu      sync.Mutex
	samples []sample // oldest first
	noted   string   // for the next sample
}

func newMeter(cached func() cache.Stats, origin func() counts) *meter {
	return &meter{cached: cached, origin: origin, audience: audience.Audience{
		Stream: func(*http.Request) string { return "demo" }, // somebody who plays it twice in one browser is one viewer
		Idle:   present, Sessions: crowded,
	}}
}

// watch wraps the public side of the chain: every client there is a viewer.
func (m *meter) watch(next http.Handler) http.Handler {
	return m.audience.Handler(m.served.count(next))
}

// run takes a sample every second until ctx ends.
func (m *meter) run(ctx context.Context) {
	last, lastOrigin, lastServed := m.cached(), m.origin(), m.served.counts()
	for wait(ctx, time.Second) {
		now, nowOrigin, nowServed := m.cached(), m.origin(), m.served.counts()
		m.add(sample{
			Viewers: m.viewers(), Requests: nowServed.requests() - lastServed.requests(),
			Hits: now.Hits - last.Hits, Joins: now.Joins - last.Joins, Origin: nowOrigin.requests() - lastOrigin.requests(),
			Ahead:   now.Prefetched - last.Prefetched,
			Refused: nowServed.Refused - lastServed.Refused, Failed: nowServed.Failed - lastServed.Failed,
		})
		last, lastOrigin, lastServed = now, nowOrigin, nowServed
	}
}

// note marks the next sample.
func (m *meter) note(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.noted = what
}

func (m *meter) add(s sample) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.Note, m.noted = m.noted, ""
	m.samples = append(m.samples, s)
	if len(m.samples) > history {
		m.samples = append([]sample(nil), m.samples[1:]...)
	}
}

// viewers counts the present viewers.
func (m *meter) viewers() (n int) {
	for range m.audience.All() {
		n++
	}
	return n
}

func (m *meter) history() []sample {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]sample{}, m.samples...)
}

// stats answers /stats.
func (d *demo) stats(w http.ResponseWriter, r *http.Request) {
	cached := d.up.shared.Stats()
	type originStats struct {
		Name    string `json:"name"`
		Up      bool   `json:"up"`
		Healthy bool   `json:"healthy"` // as the pool sees it
		counts
	}
	origins := make([]originStats, len(d.origins))
	for i, state := range d.up.pool.State() {
		o := d.origins[i]
		origins[i] = originStats{o.name, o.alive(), state.Healthy, o.traffic.counts()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(map[string]any{
		"viewers":   d.meter.viewers(),
		"simulated": d.crowd.size(),
		"cache":     !d.past.off.Load(),
		"hits":      cached.Hits,           // answered from what is stored
		"joins":     cached.Joins,          // answered from a fetch that was running already
		"misses":    cached.Misses,         // fetches begun
		"ahead":     cached.Prefetched,     // fetched before a viewer asked
		"used":      cached.PrefetchedUsed, // those that viewers have asked for since
		"served":    d.meter.served.counts(),
		"origin":    d.fromOrigins(),
		"origins":   origins,
		"history":   d.meter.history(),
	})
}
