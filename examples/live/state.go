package main

import (
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rewrite"
)

// originState is the state of an origin for the page. It does not reveal the address.
type originState struct {
	Name     string  `json:"name"`
	State    string  `json:"state"`
	Latency  float64 `json:"latency"` // in milliseconds; 0: unknown
	Requests uint64  `json:"requests"`
	Errors   uint64  `json:"errors"`
	InFlight int64   `json:"inFlight"`
}

// state serves the states of the origins.
func state(pool *origin.Pool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var list []originState
		for i, o := range pool.State() {
			s := originState{
				Name: fmt.Sprint("origin ", i+1), State: "healthy", Latency: float64(o.Latency.Microseconds()) / 1000,
				Requests: o.Requests, Errors: o.Errors, InFlight: o.InFlight,
			}
			switch {
			case !o.Healthy && time.Now().Before(o.Until):
				s.State = "left alone"
			case !o.Healthy:
				s.State = "being tried"
			}
			list = append(list, s)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(list)
	})
}

// segments tells the cache which segments a live playlist names, so that it knows what it may drop first.
func segments(playlist []byte, base string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for ref, err := range rewrite.Refs(playlist, base) {
			media := ref.Kind == rewrite.Segment || ref.Kind == rewrite.Part
			if err == nil && media && !yield(ref.URL) {
				return
			}
		}
	}
}
