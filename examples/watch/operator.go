package main

import (
	"encoding/json"
	"net/http"

	"github.com/hlsproxy/hlsproxy/audience"
	"github.com/hlsproxy/hlsproxy/metrics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// operator serves the pages for the operator.
func operator(watch *audience.Audience, numbers *metrics.Collector) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(numbers)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /sessions", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(watch.Snapshot().Sessions)
	})
	mux.HandleFunc("POST /kick", func(w http.ResponseWriter, r *http.Request) {
		if !watch.Kick(r.FormValue("session")) {
			http.NotFound(w, r)
		}
	})
	return http.NewCrossOriginProtection().Handler(mux)
}
