package main

import (
	"encoding/json"
	"net/http"

	"github.com/hlsproxy/hlsproxy/audience"
	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
)

// watched is the part of the page about viewers. Only the operator sees sessions, because their ids can end them.
type watched struct {
	Viewers int            `json:"viewers"`
	Streams map[string]int `json:"streams,omitempty"` // viewers by stream; sealed links hide the stream
	Sent    uint64         `json:"sent"`              // bytes sent to viewers through the cache
	Fetched uint64         `json:"fetched"`           // bytes fetched from the origins
	Kick    bool           `json:"kick,omitempty"`    // there is /sessions
}

// viewers shows how many watch, and what the cache saves.
func viewers(watch *audience.Audience, shared *cache.Transport, o options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		snap, saved := watch.Snapshot(), shared.Stats()
		out := watched{Viewers: len(snap.Sessions), Sent: saved.StoreBytes + saved.FillBytes, Fetched: saved.OriginBytes, Kick: o.kick}
		if !o.seal {
			out.Streams = map[string]int{}
			for _, s := range snap.Streams {
				out.Streams[s.Name] = s.Viewers
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(out)
	})
}

// sessions lists the current sessions, and ends one: GET /sessions, POST /sessions?end=ID. Only pages of this machine's own
// server may use it.
func sessions(watch *audience.Audience) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sessions", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(watch.Snapshot().Sessions)
	})
	mux.HandleFunc("POST /sessions", func(w http.ResponseWriter, r *http.Request) {
		if !watch.Kick(r.FormValue("end")) {
			http.NotFound(w, r)
		}
	})
	return serve.OnLoopback(http.NewCrossOriginProtection().Handler(mux))
}
