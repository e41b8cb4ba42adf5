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

// Page lists what can be played, each with its link. An uploading program adds a form to it.
type Page struct {
	list Lister
	more any
	html *template.Template
}

// Film is one line of the page.
type Film struct {
	Name, Link string
	Also       []Also // other ways to play it
	Delete     string // the path whose DELETE ends it; empty: the page cannot
}

// Also is another way to play a film.
type Also struct{ Name, Link string }

// List is a part of what can be played. The next part comes after Next, unless that is empty.
type List struct {
	Films []Film
	Next  string
}

// Lister lists what can be played after a name; the first part comes after the empty one.
type Lister func(ctx context.Context, after string) (List, error)

// NewPage makes a page of what list returns. The templates in more, which is given data, define what follows the list.
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

// Links is the list of what can be played, if the folder is served below a path, with the link to each.
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

// titleIn is the folder's name where that of the playlist says nothing.
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
