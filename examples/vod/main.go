// Command vod serves a folder of films and HLS playlists, with byte ranges, the media types that players expect, and moov
// in front of every MP4. Films that are uploaded become HLS.
//
//	go run ./examples/vod -dir ~/films -key SECRET
//
// With -key only signed links work; the page that lists the films with their links, the upload, and what tells of its
// progress ask for the key as a password. Without -key uploads work on loopback only. They need ffmpeg and ffprobe, the
// rest does not.
//
// The password and the links go over the wire as they are, so beyond loopback put TLS in front: a reverse proxy that has
// the certificate and leads to the loopback address, or srv.ServeTLS in server.go. Say with -public where players find
// it then: playlists name their interstitials by whole URLs. Such a proxy must pass the Host field on, take bodies as
// large as -max without storing them first, and hold neither answers nor the events of /jobs back (nginx:
// proxy_set_header Host $http_host, client_max_body_size, proxy_request_buffering off, proxy_buffering off,
// proxy_read_timeout as long as a film takes to convert).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "vod:", err)
		os.Exit(1)
	}
}

// newHandler also returns the page at /. Local says that only this machine reaches the server.
func newHandler(ctx context.Context, o options, root *os.Root, local bool) (http.Handler, *page, error) {
	cors, err := corsmw.New(corsmw.Config{Origins: []string{"*"}})
	if err != nil {
		return nil, nil, err
	}
	playlists, err := newPlaylists(o)
	if err != nil {
		return nil, nil, err
	}
	vod := playlists.Handler(http.StripPrefix("/vod", &rangeserve.Files{Root: root, Faststart: true}))
	home := &page{films: root.FS(), link: escaped}
	front, gate := http.Handler(home), byLoopbackName
	if o.key != "" {
		links, err := newSigner(o)
		if err != nil {
			return nil, nil, err
		}
		playlists.Sign, vod = links, links.Handler(vod)
		home.link = func(path string) (string, error) { p, _ := escaped(path); return links.URL(p) }
		gate = func(next http.Handler) http.Handler { return keyed(o.key, next) }
		front = gate(home)
	}
	upload, err := newUploads(ctx, o, home.link)
	if err != nil {
		return nil, nil, err
	}
	if o.key == "" && !local {
		upload.refused = refusal{http.StatusForbidden, "Uploads beyond loopback need a key: start vod with -key."}
	}
	home.refused = upload.refused.text
	sameSite := http.NewCrossOriginProtection()
	mux := http.NewServeMux()
	mux.Handle("/vod/", cors.Handler(vod))
	mux.Handle("GET /{$}", front)
	mux.Handle("POST /upload", sameSite.Handler(gate(upload)))
	mux.Handle("GET /jobs", gate(upload.jobs.watch(ctx)))
	mux.Handle("DELETE /jobs/{id}", sameSite.Handler(gate(http.HandlerFunc(upload.jobs.cancelled))))
	return mux, home, nil
}

// newPlaylists leaves the names in playlists on this server, whatever players call it, but for those few that they
// want whole.
func newPlaylists(o options) (*rewrite.Rewriter, error) {
	if o.public == "" {
		return &rewrite.Rewriter{}, nil
	}
	here, err := rewrite.Prefix("/", o.public+"/")
	return &rewrite.Rewriter{Map: here, Public: o.public}, err
}
