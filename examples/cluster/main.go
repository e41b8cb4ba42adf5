// Command cluster is one of several nodes that form one cache in front of the origins of streams: /live/PATH is /PATH on one of
// them. However many viewers there are, on however many nodes, an origin is asked once.
//
//	go run . -addr :8080 -node 10.0.0.1:9000 -engine redis://10.0.0.9:6379 -secret SECRET -origin http://a.example
//
// With -engine, a Valkey or Redis says which node asks the origin. Without one, list all nodes with -member, including this
// one, in the form that its second line prints.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/cluster"
	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
)

func main() { serve.Main(run) }

// newNode is the part of the chain below the proxy. It never connects to the addresses that this program listens on.
func newNode(o options) (*cluster.Node, error) {
	guard, err := origin.NewGuard(origin.GuardConfig{
		Hosts: o.origins.Hosts(), Allow: o.allow, Ports: o.origins.Ports(),
		Self: []netip.AddrPort{o.viewers.Self(), o.nodes.Self()},
	})
	if err != nil {
		return nil, err
	}
	pool, err := origin.NewPool(origin.PoolConfig{Origins: o.origins.URLs(), Base: guard.Transport()})
	if err != nil {
		return nil, err
	}
	return cluster.New(cluster.Config{
		Self: o.self, Directory: o.directory, Base: pool, Secret: o.secret,
		Cache: &cache.Transport{Store: cache.NewMemory(o.cache), Refs: segments},
	})
}

// newHandler is the chain above the node.
func newHandler(o options, node *cluster.Node) (http.Handler, error) {
	tree, err := rewrite.Prefix("/live/", o.origins[0].URL, o.origins[1:].URLs()...)
	if err != nil {
		return nil, err
	}
	cors, err := corsmw.New(corsmw.Config{Origins: []string{"*"}})
	if err != nil {
		return nil, err
	}
	playlists := &rewrite.Rewriter{Map: tree}
	live := rangeserve.Handler(&origin.Proxy{
		Upstream: tree.Upstream, Transport: node, ModifyResponse: playlists.ModifyResponse, OnFailure: serve.LogFailure,
	})
	mux := http.NewServeMux()
	mux.Handle("/live/", cors.Handler(live))
	mux.Handle("GET /stats", stats(node))
	mux.Handle("POST /purge", purge(node, o.origins[0].URL))
	return mux, nil
}

// run prints where it listens for viewers and for nodes, and serves both until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	defer o.viewers.Close()
	defer o.nodes.Close()
	node, err := newNode(o)
	if err != nil {
		return err
	}
	h, err := newHandler(o, node)
	if err != nil {
		return err
	}
	viewers, nodes := serve.NewServer(h), serve.NewServer(node.Handler())
	ended := make(chan error, 2)
	go func() { ended <- nodes.Serve(o.nodes) }()
	go func() { ended <- viewers.Serve(o.viewers) }()
	fmt.Fprintln(out, "listening on", o.viewers.URL())
	fmt.Fprintln(out, "nodes reach this one at", o.self)
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	return leave(node, viewers, nodes)
}
