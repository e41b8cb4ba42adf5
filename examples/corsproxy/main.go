// Command corsproxy makes any HLS stream playable from any web page: it adds the CORS headers that the stream's own
// server lacks, on every playlist, segment, key and error.
//
//	go run ./examples/corsproxy -cache 256MiB
//
// It reaches public addresses only, unless -allow says otherwise. Beyond loopback it wants -key (only links made with
// the key work) or -host (only those hosts are reached): an open proxy is found and abused within days.
package main

import (
	"context"
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

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "corsproxy:", err)
		os.Exit(1)
	}
}

// newHandler is the whole chain. It never connects to self, the address that it is served on.
func newHandler(o options, self netip.AddrPort) (http.Handler, error) {
	guard := &origin.Guard{Hosts: o.hosts, Allow: o.allow, Self: []netip.AddrPort{self}}
	shared := &cache.Transport{Base: guard.Transport()}
	if o.cache > 0 {
		shared.Store = cache.NewMemory(o.cache)
	}
	links, err := newLinks(o)
	if err != nil {
		return nil, err
	}
	cors, err := corsmw.New(corsmw.Config{Origins: o.cors, Credentials: o.credentials})
	if err != nil {
		return nil, err
	}
	chain := func(urls rewrite.Mapper) http.Handler {
		playlists := &rewrite.Rewriter{Map: urls, Public: o.public}
		proxy := rangeserve.Handler(&origin.Proxy{
			Upstream: urls.Upstream, Transport: shared, ModifyResponse: inert(playlists.ModifyResponse),
			Header: append(origin.DefaultHeader(), o.header...), ResponseHeader: o.header,
			OnFailure: func(r *http.Request, err error) { log.Printf("%q: %v", r.URL.Path, err) },
		})
		if links.signer != nil {
			playlists.Sign, proxy = links.signer.Sign, links.signer.Handler(proxy)
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
	return mux, nil
}
