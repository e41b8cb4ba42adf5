package films

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
)

//go:embed page.html page.css play.js
var files embed.FS

// Page lists what can be played, each with its link. An uploading program adds a form to it.
type Page struct {
	list func() ([]Film, error)
	more any
	html *template.Template
}

// Film is one line of the page.
type Film struct{ Name, Link string }

// NewPage makes a page of what list returns. The templates in more, which is given data, define what follows the list.
func NewPage(list func() ([]Film, error), more string, data any) (*Page, error) {
	html, err := template.ParseFS(files, "*")
	if err == nil {
		html, err = html.Parse(more)
	}
	return &Page{list, data, html}, err
}

// ServeHTTP sends the page.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	films, err := p.list()
	if err != nil {
		serve.LogFailure(r, err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	serve.PageHeader(w, "")
	p.html.ExecuteTemplate(w, "page.html", map[string]any{"Films": films, "More": p.more})
}

// Links is the list of what can be played, if the folder is served below a path, with the link to each.
func (f *Folder) Links(below string, link func(path string) (string, error)) func() ([]Film, error) {
	return func() ([]Film, error) {
		var films []Film
		for _, name := range f.List() {
			to, err := link(below + name)
			if err != nil {
				return nil, err
			}
			films = append(films, Film{titleIn(name), to})
		}
		return films, nil
	}
}

// titleIn is the folder's name where that of the playlist says nothing.
func titleIn(name string) string {
	if folder, file := path.Split(name); folder != "" && (file == "index.m3u8" || file == "master.m3u8") {
		return strings.TrimSuffix(folder, "/")
	}
	return name
}

// Print prints the links of the first films.
func Print(out io.Writer, base string, list func() ([]Film, error)) error {
	films, err := list()
	for _, film := range films[:min(len(films), 20)] {
		fmt.Fprintf(out, "play %s%s\n", base, film.Link)
	}
	return err
}
