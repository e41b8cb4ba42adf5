// Command corsproxy makes any HLS stream playable from any web page: it adds the CORS headers that the stream's own
// server lacks, on every playlist, segment, key and error.
//
//	go run ./examples/corsproxy -cache 256MiB
//
// It reaches only public addresses, unless -allow says otherwise. On other addresses than loopback it requires -key (only links
// made with the key work) or -host (only those hosts are reached): people find and abuse an open proxy within days.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
)

func main() { serve.Main(run) }

// newHandler is the whole chain. It never connects to its own address.
func newHandler(o options) (http.Handler, error) {
	guard, err := origin.NewGuard(origin.GuardConfig{
		Hosts: o.hosts, Allow: o.allow, Ports: o.ports, Via: o.via, Insecure: o.insecure, Self: []netip.AddrPort{o.self},
	})
	if err != nil {
		return nil, err
	}
	shared := &cache.Transport{Base: guard.Transport(), Idle: o.wait}
	if o.trim {
		shared.Base = origin.Trim(shared.Base, nil)
	}
	if o.cache > 0 {
		shared.Store = cache.NewMemory(o.cache)
	}
	links, err := newLinks(o)
	if err != nil {
		return nil, err
	}
	cors, err := corsmw.New(corsmw.Config{
		Origins: o.cors, Credentials: o.credentials,
		AllowHeaders: append(corsmw.DefaultAllowHeaders(), o.header...), ExposeHeaders: append(corsmw.DefaultExposeHeaders(), o.header...),
	})
	if err != nil {
		return nil, err
	}
	chain := func(urls rewrite.Mapper) http.Handler {
		playlists := &rewrite.Rewriter{Map: urls, Public: o.public, MaxSize: o.maxPlaylist, Unmapped: rewrite.DropUnmapped, Hints: true, Guides: true}
		proxy := rangeserve.Handler(&origin.Proxy{
			Upstream: urls.Upstream, Transport: shared, ModifyResponse: inert(playlists.ModifyResponse),
			Header: append(origin.DefaultHeader(), o.header...), ResponseHeader: o.header,
			Wait: o.wait, Idle: o.wait, NoVia: o.noVia, Downgrade: o.downgrade, OnFailure: serve.LogFailure,
		})
		if links.signer != nil {
			playlists.Sign = links.signer
			if urls == links.sealed {
				playlists.Sign, proxy = rewrite.SignChain(links.sealed, links.signer), links.sealed.Handler(proxy)
			}
			proxy = links.signer.Handler(proxy)
		}
		return cors.Handler(proxy)
	}
	mux := http.NewServeMux()
	plain := chain(links.plain)
	mux.Handle("/proxy", plain)
	mux.Handle("/proxy/", plain)
	if links.sealed != nil {
		mux.Handle("/s/", chain(links.sealed))
	}
	mux.Handle("/{$}", &page{links: links})
	mux.HandleFunc("GET /style.css", serve.Style)
	return mux, nil
}

// run prints where it listens, and serves until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, ln, err := parse(args)
	if err != nil {
		return err
	}
	defer ln.Close()
	h, err := newHandler(o)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "listening on %s\nopen it in a browser, or play %[1]s/proxy?url=... in any player\n", ln.URL())
	return serve.Run(ctx, ln, h)
}
