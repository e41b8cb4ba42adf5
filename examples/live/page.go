package main

import (
	_ "embed"
	"io"
	"io/fs"
	"net/http"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
)

//go:embed index.html
var player string

// pages are those of a folder, or the player.
func pages(static fs.FS) http.Handler {
	if static != nil {
		return http.FileServerFS(static)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		serve.PageHeader(w, "")
		io.WriteString(w, player)
	})
}
