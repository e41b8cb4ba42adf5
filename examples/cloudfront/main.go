// Command cloudfront hands out the playlists of a stream whose media CloudFront serves and guards ("Restrict viewer
// access"): /PATH.m3u8 is that playlist at the origin, or in a folder, with a signature on all that it names. One RSA
// signature opens the folder of the segments and all below, however many there are. Nothing but the links changes.
//
//	go run ./examples/cloudfront -origin https://d111111abcdef8.cloudfront.net -key-pair-id K2JCJMDEHXQW5F -key-file key.pem
//	go run ./examples/cloudfront -dir ~/vod -domain https://d111111abcdef8.cloudfront.net/vod/ -key-pair-id ... -key-file ...
//
// Playlists in a playlist stay here, since their segments have to be signed as well; a playlist is what ends in .m3u8 or
// .m3u, and nothing else is served. Who reaches this server gets links that work: put a login of yours in front of it.
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

	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rewrite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "cloudfront:", err)
		os.Exit(1)
	}
}

// newHandler is the whole chain.
func newHandler(o options) (http.Handler, error) {
	urls, err := newLinks(o)
	if err != nil {
		return nil, err
	}
	cors, err := corsmw.New(corsmw.Config{Origins: []string{"*"}})
	if err != nil {
		return nil, err
	}
	playlists := &rewrite.Rewriter{Map: urls, Sign: urls.sign}
	guard := &origin.Guard{Hosts: o.hosts, Allow: o.allow, Ports: o.ports}
	proxy := &origin.Proxy{
		Upstream: urls.Upstream, Transport: &signed{urls, guard.Transport()}, ModifyResponse: playlists.ModifyResponse,
		OnFailure: func(r *http.Request, err error) { log.Printf("%q: %v", r.URL.Path, err) },
	}
	if o.root != nil {
		proxy.Transport = &folder{http.NewFileTransportFS(o.root.FS()), o.origin}
	}
	return cors.Handler(onlyPlaylists(proxy)), nil
}

// onlyPlaylists keeps what CloudFront guards from being fetched around it.
func onlyPlaylists(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isPlaylist(r.URL.Path) {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
