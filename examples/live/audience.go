package main

import (
	"encoding/json"
	"net/http"

	"github.com/hlsproxy/hlsproxy/audience"
	"github.com/hlsproxy/hlsproxy/cache"
)

// watched is what the page shows of who is watching. Sessions are for those who operate the service: their ids end them.
type watched struct {
	Viewers int            `json:"viewers"`
	Streams map[string]int `json:"streams,omitempty"` // viewers by stream; sealed links hide what they lead to
	Sent    uint64         `json:"sent"`              // bytes that went to viewers by way of the cache
	Fetched uint64         `json:"fetched"`           // bytes that the origins were asked for
}

// viewers shows how many watch, and what the cache saves.
func viewers(watch *audience.Audience, shared *cache.Transport, sealed bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		snap, saved := watch.Snapshot(), shared.Stats()
		out := watched{Viewers: len(snap.Sessions), Sent: saved.StoreBytes + saved.FillBytes, Fetched: saved.OriginBytes}
		if !sealed {
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
