// Command vod serves a folder of films and HLS playlists, with byte ranges, the media types that players expect, and moov
// in front of every MP4.
//
//	go run ./examples/vod -dir ~/films -key SECRET
//
// With -key only signed links work, and the page that lists the films with their links asks for the key as a password. The key
// can also come from -key-file or from $HLSPROXY_KEY. Without a key everything is open to anyone who can reach the server.
//
// The password and the links are sent in clear text, so beyond loopback put TLS in front: a reverse proxy that has the
// certificate, forwards to the loopback address, passes the Host field on and does not buffer answers. Tell its URL with
// -public: playlists name their interstitials by absolute URLs.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/examples/internal/films"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/hlsproxy/hlsproxy/rewrite"
)

func main() { serve.Main(run) }

// newHandler is the whole chain. The folder is a rangeserve.Files.
func newHandler(o options, links *serve.Links) (http.Handler, error) {
	cors, err := corsmw.New(corsmw.Config{Origins: []string{"*"}})
	if err != nil {
		return nil, err
	}
	playlists := &rewrite.Rewriter{Public: o.public, OnFailure: serve.LogFailure}
	if o.public != "" { // interstitials are named by whole URLs; all other names stay on this server, whatever it is called
		if playlists.Map, err = rewrite.Prefix("/", o.public+"/"); err != nil {
			return nil, err
		}
	}
	if links.Signer != nil {
		playlists.Sign = links.Signer
	}
	page, err := films.NewPage(o.folder.Links("/vod/", links.To), "", nil)
	if err != nil {
		return nil, err
	}
	vod := links.Handler(playlists.Handler(http.StripPrefix("/vod", o.folder)))
	mux := http.NewServeMux()
	mux.Handle("/vod/", cors.Handler(vod))
	mux.Handle("GET /{$}", links.Gate(page))
	mux.HandleFunc("GET /style.css", serve.Style)
	return mux, nil
}

// run prints where it listens and links to the first films, and serves until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, ln, err := parse(args)
	if err != nil {
		return err
	}
	defer ln.Close()
	links, err := serve.NewLinks(o.key, o.ttl, ln.Local())
	if err != nil {
		return err
	}
	h, err := newHandler(o, links)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "listening on %s\nopen %[1]s/%s\n", ln.URL(), links.Hint())
	if err := films.Print(ctx, out, ln.URL(), o.folder.Links("/vod/", links.To)); err != nil {
		return err
	}
	return serve.Run(ctx, ln, h)
}
