// Command auth lets a backend decide who may watch: /live/PATH is /PATH at the origin for those whose token the backend
// vouches for. It is asked about playlists, segments and keys alike, once in a while for each viewer; what it takes back
// ends within -hold, and while it cannot be asked nobody watches.
//
//	go run ./examples/auth -origin https://origin.example -ask https://backend.example/hls
//
// The backend is sent a sign.Question in JSON by POST, and answers 200 to admit and 401 or 403 to refuse. Viewers bring
// their token as ?token= or as "Authorization: Bearer"; the links in a playlist carry the former on. The origin and the
// cache, which all viewers share, never see it.
//
// Without -ask there is a small backend inside, on a loopback port of its own, whose page makes sessions and revokes them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "auth:", err)
		os.Exit(1)
	}
}

// newHandler is the whole chain.
func newHandler(o options) (http.Handler, error) {
	tree, err := rewrite.Prefix("/live/", o.origin)
	if err != nil {
		return nil, err
	}
	cors, err := corsmw.New(corsmw.Config{Origins: []string{"*"}})
	if err != nil {
		return nil, err
	}
	ask := &sign.Ask{
		URL: o.ask, NodeID: o.node, TTL: o.hold, RefusalTTL: o.hold, Timeout: o.timeout,
		OnFailure: func(err error) { log.Print("the backend could not be asked: ", err) },
	}
	guard := &origin.Guard{Hosts: o.hosts, Allow: o.allow, Ports: o.ports}
	shared := &cache.Transport{Base: guard.Transport(), Store: cache.NewMemory(256 << 20)}
	playlists := &rewrite.Rewriter{Map: tree, Sign: ask.Sign, SignAlike: ask.SignAlike}
	live := rangeserve.Handler(&origin.Proxy{
		Upstream: tree.Upstream, Transport: shared, ModifyResponse: playlists.ModifyResponse,
		OnFailure: func(r *http.Request, err error) { log.Printf("%q: %v", r.URL.Path, err) },
	})
	mux := http.NewServeMux()
	mux.Handle("/live/", cors.Handler(ask.Handler(live))) // asked before the cache is: a hit needs a token like a miss
	return mux, nil
}
