package main

import (
	"embed"
	"encoding/json"
	"html/template"
	"io/fs"
	"net/http"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/hlsproxy/hlsproxy/sign"
)

//go:embed page
var pageFiles embed.FS

// cdn is where the page gets hls.js if no file was given.
const cdn = "https://cdn.jsdelivr.net/npm/hls.js@1"

// site is everything that the demo serves: the page, its counters and controls, and the stream, below /hls/ for everybody and
// below /signed/ with signed links. It tells the page when the segments of the stream begin.
func (d *demo) site(hlsjs string, stream *liveOrigin) (http.Handler, error) {
	index, err := template.ParseFS(pageFiles, "page/index.html")
	if err != nil {
		return nil, err
	}
	assets, err := fs.Sub(pageFiles, "page")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for prefix, links := range map[string]*sign.Signer{"/hls/": nil, "/signed/": d.links.signer} {
		stream, err := newChain(prefix, d.up.origins, d.past, links)
		if err != nil {
			return nil, err
		}
		mux.Handle(prefix, d.meter.watch(stream))
	}
	mux.Handle("/control/", d.controls())
	mux.HandleFunc("GET /stats", d.stats)
	mux.HandleFunc("GET /link", d.link)
	source := cdn
	if hlsjs != "" {
		source = "/hls.js"
		mux.HandleFunc("GET /hls.js", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
			http.ServeFile(w, r, hlsjs)
		})
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		serve.PageHeader(w, "default-src 'self'; script-src 'self' https://cdn.jsdelivr.net; worker-src blob:; media-src 'self' blob:; img-src data:")
		index.Execute(w, map[string]any{
			"HLSJS": source, "Distance": distance.Milliseconds(), "LowLatency": stream.lowLatency, "Local": isLocal(r), "Ahead": d.up.shared.Ahead > 0,
			"Epoch": stream.epoch.UnixMilli(), "Segment": segmentTime.Milliseconds(),
		})
	})
	mux.HandleFunc("GET /style.css", serve.Style)
	for _, name := range []string{"page.css", "page.js", "player.js", "mse.js", "chain.js", "chart.js"} {
		mux.Handle("GET /"+name, http.FileServerFS(assets))
	}
	return mux, nil
}

// link answers /link, as a page does for a viewer that has logged in.
func (d *demo) link(w http.ResponseWriter, r *http.Request) {
	l, err := d.links.mint()
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(l)
}
