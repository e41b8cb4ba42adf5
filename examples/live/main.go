// Command live stands in front of the origins of live streams: /live/PATH is /PATH on one of them. A stream stays with its
// origin until that fails, and then moves to the next. However many viewers there are, an origin is asked once.
//
//	go run ./examples/live -origin http://a.example -origin http://b.example -key SECRET -cache 1GiB
//
// With -key only signed links work. The program prints links for the paths of -link; one link opens everything beside and below
// its path. With -seal links also hide where a stream is on its origin, and do not expire.
//
// Endless streams (.ts, .flv, .mp3 or .aac over one connection) are broadcast: an origin is asked once for all viewers, and
// later viewers begin near the live edge. The page plays them as well:
//
//	go run ./examples/live -origin http://a.example -link /live/channel.ts -link /live/radio.mp3
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"

	"github.com/hlsproxy/hlsproxy/audience"
	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
)

func main() { serve.Main(run) }

// newHandler is the whole chain. It never connects to its own address.
func newHandler(o options, urls *links, store cache.Store) (http.Handler, error) {
	guard, err := origin.NewGuard(origin.GuardConfig{Hosts: o.origins.Hosts(), Allow: o.allow, Ports: o.origins.Ports(), Self: []netip.AddrPort{o.self}})
	if err != nil {
		return nil, err
	}
	pool, err := origin.NewPool(origin.PoolConfig{Origins: o.origins.URLs(), Base: guard.Transport()})
	if err != nil {
		return nil, err
	}
	shared := &cache.Transport{Base: pool, Refs: segments, Store: store}
	cors, err := corsmw.New(corsmw.Config{
		Origins: o.cors, Credentials: o.credentials,
		AllowHeaders: append(corsmw.DefaultAllowHeaders(), o.header...), ExposeHeaders: append(corsmw.DefaultExposeHeaders(), o.header...),
	})
	if err != nil {
		return nil, err
	}
	playlists := &rewrite.Rewriter{Map: urls, Skip: urls.elsewhere, Public: o.public, Unmapped: rewrite.DropUnmapped}
	watch := &audience.Audience{}
	live := rangeserve.Handler(&origin.Proxy{
		Upstream: urls.Upstream, Transport: shared, ModifyResponse: playlists.ModifyResponse,
		Header: append(origin.DefaultHeader(), o.header...), ResponseHeader: o.header,
		OnFailure: serve.LogFailure,
	})
	if urls.signer != nil {
		playlists.Sign = urls.signer
		live = urls.signer.Handler(live)
	}
	mux := http.NewServeMux()
	mux.Handle("/live/", cors.Handler(watch.Handler(live)))
	mux.Handle("GET /pool", state(pool))
	mux.Handle("GET /audience", viewers(watch, shared, o))
	if o.kick {
		mux.Handle("/sessions", sessions(watch))
	}
	mux.Handle("/", pages(o))
	return mux, nil
}

// run prints where it listens and a link for each path of -link, and serves until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, ln, err := parse(args)
	if err != nil {
		return err
	}
	defer ln.Close()
	urls, err := newLinks(o)
	if err != nil {
		return err
	}
	store, closeStore, err := o.store()
	if err != nil {
		return err
	}
	defer closeStore()
	h, err := newHandler(o, urls, store)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "listening on", ln.URL())
	if err := urls.print(out, ln.URL(), o.links); err != nil {
		return err
	}
	return serve.Run(ctx, ln, h)
}
