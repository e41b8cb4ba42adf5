// Command live stands in front of the origins of live streams: /live/PATH is /PATH on one of them. A stream stays with
// its origin until that fails, and then moves to the next; however many viewers there are, an origin is asked once.
//
//	go run ./examples/live -origin http://a.example -origin http://b.example -key SECRET -cache 1GiB
//
// With -key only signed links work. It prints links for the paths that -link names; one link opens all that lies
// beside and below its path.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
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

//go:embed index.html
var player embed.FS

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "live:", err)
		os.Exit(1)
	}
}

// newHandler is the whole chain; links may be nil.
func newHandler(o options, links *sign.Signer) (http.Handler, error) {
	tree, err := rewrite.Prefix("/live/", o.origins[0], o.origins[1:]...)
	if err != nil {
		return nil, err
	}
	guard := &origin.Guard{Hosts: o.hosts, Allow: o.allow, Ports: o.ports}
	pool, err := origin.NewPool(origin.PoolConfig{Origins: o.origins, Base: guard.Transport()})
	if err != nil {
		return nil, err
	}
	shared := &cache.Transport{Base: pool}
	if o.cache > 0 {
		shared.Store = cache.NewMemory(o.cache)
	}
	cors, err := corsmw.New(corsmw.Config{Origins: o.cors, Credentials: o.credentials})
	if err != nil {
		return nil, err
	}
	playlists := &rewrite.Rewriter{Map: tree}
	live := rangeserve.Handler(&origin.Proxy{Upstream: tree.Upstream, Transport: shared, ModifyResponse: playlists.ModifyResponse})
	if links != nil {
		playlists.Sign = links.Sign
		live = links.Handler(live)
	}
	mux := http.NewServeMux()
	mux.Handle("/live/", cors.Handler(live))
	mux.Handle("/", http.FileServerFS(o.static))
	return mux, nil
}
