package main

import (
	"embed"
	"html/template"
	"io/fs"
	"net/http"
)

//go:embed page
var pageFiles embed.FS

// cdn is where the page gets hls.js when no file was given.
const cdn = "https://cdn.jsdelivr.net/npm/hls.js@1"

// site is everything the demo listens for: the page, its counters, and the stream below /hls/.
func site(stream http.Handler, m *meter, hlsjs string) (http.Handler, error) {
	index, err := template.ParseFS(pageFiles, "page/index.html")
	if err != nil {
		return nil, err
	}
	assets, err := fs.Sub(pageFiles, "page")
	if err != nil {
		return nil, err
	}
	data := map[string]any{"HLSJS": cdn, "Distance": distance.Milliseconds()}
	mux := http.NewServeMux()
	if hlsjs != "" {
		data["HLSJS"] = "/hls.js"
		mux.HandleFunc("GET /hls.js", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
			http.ServeFile(w, r, hlsjs)
		})
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'self'; script-src 'self' https://cdn.jsdelivr.net; "+
			"worker-src blob:; media-src 'self' blob:; img-src data:")
		index.Execute(w, data)
	})
	mux.Handle("GET /page.css", http.FileServerFS(assets))
	mux.Handle("GET /page.js", http.FileServerFS(assets))
	mux.Handle("GET /chart.js", http.FileServerFS(assets))
	mux.Handle("GET /stats", m)
	mux.Handle("/hls/", m.watch(stream))
	return mux, nil
}
