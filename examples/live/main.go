// Command live stands in front of the origins of live streams: /live/PATH is /PATH on one of them. A stream stays with
// its origin until that fails, and then moves to the next; however many viewers there are, an origin is asked once.
//
//	go run ./examples/live -origin http://a.example -origin http://b.example -key SECRET -cache 1GiB
//
// With -key only signed links work. It prints links for the paths that -link names; one link opens all that lies
// beside and below its path. With -seal they also hide where a stream lies on its origin, and do not expire.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
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

// newHandler is the whole chain. It never connects to self, the address that it is served on.
func newHandler(o options, urls *links, self netip.AddrPort) (http.Handler, error) {
	guard := &origin.Guard{Hosts: o.hosts, Allow: o.allow, Ports: o.ports, Self: []netip.AddrPort{self}}
	pool, err := origin.NewPool(origin.PoolConfig{Origins: o.origins, Base: guard.Transport()})
	if err != nil {
		return nil, err
	}
	shared := &cache.Transport{Base: pool, Refs: segments}
	if o.dir != "" {
		shared.Store, err = cache.NewDir(o.dir, o.cache)
	} else if o.cache > 0 {
		shared.Store = cache.NewMemory(o.cache)
	}
	if err != nil {
		return nil, err
	}
	cors, err := corsmw.New(corsmw.Config{Origins: o.cors, Credentials: o.credentials})
	if err != nil {
		return nil, err
	}
	playlists := &rewrite.Rewriter{Map: urls, Skip: urls.elsewhere, Public: o.public}
	live := rangeserve.Handler(&origin.Proxy{
		Upstream: urls.Upstream, Transport: shared, ModifyResponse: playlists.ModifyResponse,
		Header: append(origin.DefaultHeader(), o.header...), ResponseHeader: o.header,
		OnFailure: func(r *http.Request, err error) { log.Printf("%q: %v", r.URL.Path, err) },
	})
	if urls.signer != nil {
		playlists.Sign, playlists.SignAlike = urls.signer.Sign, urls.signer.SignAlike
		live = urls.signer.Handler(live)
	}
	mux := http.NewServeMux()
	mux.Handle("/live/", cors.Handler(live))
	mux.Handle("GET /pool", state(pool))
	mux.Handle("/", http.FileServerFS(o.static))
	return mux, nil
}
