package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/cluster"
	"github.com/hlsproxy/hlsproxy/rewrite"
)

func stats(node *cluster.Node) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, node.Stats()) })
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// purged says what all nodes have forgotten, and which of them may not have.
type purged struct {
	Purged int      `json:"purged"`
	Missed []string `json:"missed"`
	Error  string   `json:"error,omitempty"`
}

// purge forgets on all nodes what lies below a path of the origin. Only programs on this machine may call it, and no page in a
// browser there.
func purge(node *cluster.Node, base string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !from.Addr().Unmap().IsLoopback() || r.Header.Get("Origin") != "" {
			http.Error(w, "Forbidden", http.StatusForbidden)
			return
		}
		prefix := r.URL.Query().Get("prefix")
		u, err := url.Parse(strings.TrimSuffix(base, "/") + prefix)
		if err != nil || !strings.HasPrefix(prefix, "/") {
			http.Error(w, "prefix=/PATH is needed", http.StatusBadRequest)
			return
		}
		n, missed, err := node.PurgePrefix(r.Context(), cache.Key(&http.Request{URL: u}))
		said, status := purged{n, missed, ""}, http.StatusOK
		if missed == nil {
			said.Missed = []string{}
		}
		if len(missed) > 0 || err != nil {
			status = http.StatusAccepted
		}
		if err != nil {
			said.Error = "not all nodes are known"
		}
		answer(w, status, said)
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

// leave ends everything within five seconds. It tells the other nodes first. Answers to them and to viewers may finish.
func leave(node *cluster.Node, viewers, nodes *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	left := make(chan error, 1)
	go func() { left <- node.Leave(ctx) }()
	if errors.Is(viewers.Shutdown(ctx), context.DeadlineExceeded) {
		viewers.Close()
	}
	if err := <-left; err != nil {
		fmt.Println("leaving:", err)
	}
	nodes.Close()
	return nil
}
