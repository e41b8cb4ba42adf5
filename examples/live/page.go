package main

import (
	_ "embed"
	"html/template"
	"net/http"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
)

//go:embed index.html
var playerHTML string

var player = template.Must(template.New("player").Parse(playerHTML))

// pages serves the files of a folder, or else the player. The player lists the streams, unless their links are signed: anyone
// who sees the page could watch with them.
func pages(o options) http.Handler {
	if o.static != nil {
		return http.FileServerFS(o.static)
	}
	var links []string
	if o.key == "" {
		links = o.links
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/style.css", serve.Style)
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		serve.PageHeader(w, "")
		player.Execute(w, map[string]any{"Links": links})
	})
	return mux
}
