// Command auth lets a backend decide who may watch: /live/PATH is /PATH at the origin for viewers whose token the backend
// accepts. The backend is asked about playlists, segments and keys alike, once in a while for each viewer. A revoked token
// stops working within -hold. While the backend cannot be asked, nobody can watch.
//
//	go run ./examples/auth -origin https://origin.example -ask https://backend.example/hls
//
// The backend gets a sign.Question in JSON by POST, and answers 200 to admit and 401 or 403 to refuse. Viewers send their token
// as ?token= or as "Authorization: Bearer"; the links in a playlist carry the former. The origin, and the cache that all
// viewers share, never see it.
//
// Without -ask there is a small backend inside, on a loopback port of its own. Its page makes and revokes sessions. The token
// of a session opens the folder of its playlist and everything below it.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign"
	"golang.org/x/sync/errgroup"
)

func main() { serve.Main(run) }

// newHandler is the whole chain.
func newHandler(o options) (http.Handler, error) {
	tree, err := rewrite.Prefix("/live/", o.origins[0].URL)
	if err != nil {
		return nil, err
	}
	cors, err := corsmw.New(corsmw.Config{Origins: []string{"*"}})
	if err != nil {
		return nil, err
	}
	ask := &sign.Ask{
		URL: o.ask, NodeID: o.node, TTL: o.hold, RefusalTTL: o.hold, Timeout: o.timeout,
		OnFailure: func(err error) { serve.Log("the backend could not be asked", err) },
	}
	guard, err := origin.NewGuard(origin.GuardConfig{Hosts: o.origins.Hosts(), Allow: o.allow, Ports: o.origins.Ports()})
	if err != nil {
		return nil, err
	}
	shared := &cache.Transport{Base: guard.Transport(), Store: cache.NewMemory(256 << 20)}
	playlists := &rewrite.Rewriter{Map: tree, Sign: ask, Unmapped: rewrite.DropUnmapped}
	live := rangeserve.Handler(&origin.Proxy{
		Upstream: tree.Upstream, Transport: shared, ModifyResponse: playlists.ModifyResponse, OnFailure: serve.LogFailure,
	})
	mux := http.NewServeMux()
	mux.Handle("/live/", cors.Handler(ask.Handler(live))) // outside of the cache: a hit needs a token, too
	return mux, nil
}

// run prints where it listens. With the backend inside, it also prints its address and a link to play. It serves until ctx
// ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, ln, err := parse(args)
	if err != nil {
		return err
	}
	defer ln.Close()
	g, ctx := errgroup.WithContext(ctx)
	hint := fmt.Sprintf("play %s/live/PATH?token=TOKEN with a token that %s admits", ln.URL(), o.ask)
	if o.ask == "" {
		inside, err := serve.Listen("addr", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer inside.Close()
		o.ask = inside.URL() + "/ask"
		who := &sessions{base: ln.URL()}
		first, err := who.add("the first viewer", o.link)
		if err != nil {
			return fmt.Errorf("-link %q: %w", o.link, err)
		}
		hint = fmt.Sprintf("open %s/ to make sessions and revoke them\nplay %s\nits token opens %s and all below", inside.URL(), first.Link, first.Opens)
		backend := newBackend(who, o.link)
		g.Go(func() error { return serve.Run(ctx, inside, backend) })
	}
	h, err := newHandler(o)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "listening on %s\n%s\n", ln.URL(), hint)
	g.Go(func() error { return serve.Run(ctx, ln, h) })
	return g.Wait()
}
