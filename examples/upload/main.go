// Command upload accepts films through a page, turns them into HLS with ffmpeg, and serves them: a ladder of up to three sizes,
// in segments of MPEG-TS or MP4.
//
//	go run ./examples/upload -dir ~/films -key SECRET
//
// With -key only signed links work. The page with the films and the form, the upload, and the progress ask for the key as a
// password. The key can also come from -key-file or from $HLSPROXY_KEY. Without a key uploads work only on loopback. They need
// ffmpeg and ffprobe. Films are converted one at a time, within limits of memory, time and length. Four films may be in
// progress; one client may have all four as long as nobody else needs a place.
//
// The password and the links are sent in clear text, so beyond loopback put TLS in front: a reverse proxy that has the
// certificate and forwards to the loopback address. Tell its URL with -public. The proxy must pass the Host field on, accept
// bodies as large as -max without storing them first, and buffer neither answers nor the events of /jobs (nginx:
// proxy_set_header Host $http_host, client_max_body_size, proxy_request_buffering off, proxy_buffering off, proxy_read_timeout
// as long as a film takes to convert).
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/examples/internal/films"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/hlsproxy/hlsproxy/examples/internal/uploads"
	"github.com/hlsproxy/hlsproxy/rewrite"
)

func main() { serve.Main(run) }

// newHandler is the whole chain: films come in by POST /upload, and the results are served below /vod/.
func newHandler(ctx context.Context, o options, links *serve.Links) (http.Handler, error) {
	cors, err := corsmw.New(corsmw.Config{Origins: []string{"*"}})
	if err != nil {
		return nil, err
	}
	playlists := &rewrite.Rewriter{Public: o.public, OnFailure: serve.LogFailure}
	if o.public != "" {
		if playlists.Map, err = rewrite.Prefix("/", o.public+"/"); err != nil {
			return nil, err
		}
	}
	if links.Signer != nil {
		playlists.Sign = links.Signer
	}
	c := uploads.Config{Dir: o.dir, Limit: o.max, Publish: func(_ context.Context, film uploads.Film, _ func(int)) (string, error) {
		name, err := uploads.Rename(film.Folder, o.dir, film.Title)
		if err != nil {
			return "", err
		}
		return links.To("/vod/" + name + "/index.m3u8")
	}}
	if o.key == "" && !o.local {
		c.Refused = "Uploads beyond loopback need a key: start upload with -key."
	}
	upload, err := uploads.New(ctx, c)
	if err != nil {
		return nil, err
	}
	page, err := films.NewPage(o.folder.Links("/vod/", links.To), uploads.More, upload.Refused())
	if err != nil {
		return nil, err
	}
	sameSite := http.NewCrossOriginProtection()
	mux := http.NewServeMux()
	mux.Handle("/vod/", cors.Handler(links.Handler(playlists.Handler(http.StripPrefix("/vod", o.folder)))))
	mux.Handle("GET /{$}", links.Gate(page))
	mux.HandleFunc("GET /style.css", serve.Style)
	mux.Handle("POST /upload", sameSite.Handler(links.Gate(upload)))
	mux.Handle("GET /jobs", links.Gate(upload.Watch()))
	mux.Handle("GET /jobs/{id}/picture", links.Gate(http.HandlerFunc(upload.Picture)))
	mux.Handle("DELETE /jobs/{id}", sameSite.Handler(links.Gate(http.HandlerFunc(upload.Cancel))))
	return mux, nil
}

// run prints where it listens and links to the first films, and serves until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, ln, err := parse(args)
	if err != nil {
		return err
	}
	defer ln.Close()
	links, err := serve.NewLinks(o.key, o.ttl, o.local)
	if err != nil {
		return err
	}
	h, err := newHandler(ctx, o, links)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "listening on %s\nopen %[1]s/%s\n", ln.URL(), links.Hint())
	if err := films.Print(ctx, out, ln.URL(), o.folder.Links("/vod/", links.To)); err != nil {
		return err
	}
	return serve.Run(ctx, ln, h)
}
