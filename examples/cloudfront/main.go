// Command cloudfront serves the playlists of a stream whose media CloudFront serves and protects ("Restrict viewer access"):
// /PATH.m3u8 is that playlist at the origin, or in a folder, with a signature on everything it names. One RSA signature opens
// the folder of the segments and everything below it, however many there are. Only the links change.
//
//	go run ./examples/cloudfront -origin https://d111111abcdef8.cloudfront.net -key-pair-id K2JCJMDEHXQW5F -key-file key.pem
//	go run ./examples/cloudfront -dir ~/vod -domain https://d111111abcdef8.cloudfront.net/vod/ -key-pair-id ... -key-file ...
//
// Playlists in a playlist stay on this server, because their segments must be signed as well. A playlist ends in .m3u8 or .m3u;
// nothing else is served. Anyone who reaches this server gets links that work: put your own login in front of it.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rewrite"
)

func main() { serve.Main(run) }

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
	playlists := &rewrite.Rewriter{Map: urls, Sign: rewrite.SignFunc(urls.sign)}
	guard, err := origin.NewGuard(origin.GuardConfig{Hosts: []string{o.origin.Host}, Allow: o.allow, Ports: []string{fmt.Sprint(o.origin.Port)}})
	if err != nil {
		return nil, err
	}
	proxy := &origin.Proxy{
		Upstream: urls.Upstream, Transport: &signed{urls, guard.Transport()}, ModifyResponse: playlists.ModifyResponse,
		OnFailure: serve.LogFailure,
	}
	if o.root != nil {
		proxy.Transport = &folder{http.NewFileTransportFS(o.root.FS()), o.origin.URL}
	}
	return cors.Handler(onlyPlaylists(proxy)), nil
}

// onlyPlaylists refuses other files: CloudFront protects them, and nobody may fetch them here instead.
func onlyPlaylists(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isPlaylist(r.URL.Path) {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// run prints where it listens, and serves until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, ln, err := parse(args)
	if err != nil {
		return err
	}
	defer ln.Close()
	if o.root != nil {
		defer o.root.Close()
	}
	h, err := newHandler(o)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "listening on %s\nplay %[1]s/PATH.m3u8 for the playlist PATH.m3u8\n", ln.URL())
	return serve.Run(ctx, ln, h)
}
