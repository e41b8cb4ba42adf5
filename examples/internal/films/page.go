package films

import (
	"context"
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

// Page lists everything playable, each with its link. A program with uploads adds a form to it.
type Page struct {
	list Lister
	more any
	html *template.Template
}

// Film is one line of the page.
type Film struct {
	Name, Link string
	Also       []Also // other ways to play it
	Delete     string // the path to send DELETE to; empty: the page cannot delete it
}

// Also is another way to play a film.
type Also struct{ Name, Link string }

// List is a part of the playable films. The next part comes after Next, unless that is empty.
type List struct {
	Films []Film
	Next  string
}

// Lister lists what comes after a name. "" gives the first part.
type Lister func(ctx context.Context, after string) (List, error)

// NewPage makes a page of list's results. The templates in more, which get data, define the part after the list.
func NewPage(list Lister, more string, data any) (*Page, error) {
	html, err := template.ParseFS(files, "*")
	if err == nil {
		html, err = html.Parse(more)
	}
	return &Page{list, data, html}, err
}

// ServeHTTP sends the page.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	list, err := p.list(r.Context(), r.FormValue("after"))
	if err != nil {
		serve.LogFailure(r, err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	serve.PageHeader(w, "")
	p.html.ExecuteTemplate(w, "page.html", map[string]any{"Films": list.Films, "Next": list.Next, "More": p.more})
}

// Links lists what is playable, with the link to each, if the folder is served below a path.
func (f *Folder) Links(below string, link func(path string) (string, error)) Lister {
	return func(context.Context, string) (List, error) {
		var list List
		for _, name := range f.List() {
			to, err := link(below + name)
			if err != nil {
				return List{}, err
			}
			list.Films = append(list.Films, Film{Name: titleIn(name), Link: to})
		}
		return list, nil
	}
}

// titleIn is the name of the folder if the name of the playlist says nothing.
func titleIn(name string) string {
	if folder, file := path.Split(name); folder != "" && (file == "index.m3u8" || file == "master.m3u8") {
		return strings.TrimSuffix(folder, "/")
	}
	return name
}

// Print prints the links of the first films.
func Print(ctx context.Context, out io.Writer, base string, list Lister) error {
	first, err := list(ctx, "")
	for _, film := range first.Films[:min(len(first.Films), 20)] {
		fmt.Fprintf(out, "play %s%s\n", base, film.Link)
	}
	return err
}
