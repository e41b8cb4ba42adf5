package main

import (
	"embed"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed page
var pageFiles embed.FS

var pageTemplate = template.Must(template.ParseFS(pageFiles, "page/*"))

// page lists what can be played, each with its link.
type page struct {
	films   fs.FS
	link    func(path string) (string, error)
	refused string // why films cannot be uploaded; "" where they can
}

type film struct{ Name, Link string }

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	films, err := p.list()
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Frame-Options", "DENY")
	pageTemplate.ExecuteTemplate(w, "page.html", map[string]any{"Films": films, "Refused": p.refused})
}

func (p *page) list() ([]film, error) {
	var films []film
	for _, name := range playable(p.films, ".") {
		link, err := p.link("/vod/" + name)
		if err != nil {
			return nil, err
		}
		films = append(films, film{titleIn(name), link})
	}
	return films, nil
}

// titleIn is the folder's name where that of the playlist says nothing.
func titleIn(name string) string {
	if folder, file := path.Split(name); folder != "" && (file == "index.m3u8" || file == "master.m3u8") {
		return strings.TrimSuffix(folder, "/")
	}
	return name
}
