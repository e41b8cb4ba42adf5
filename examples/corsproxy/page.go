package main

import (
	_ "embed"
	"html/template"
	"net/http"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// page is the form at /. Where links are signed, it makes one only for who knows the key: it may stand on a public
// address, also behind another proxy, and is no source of links for strangers. The key travels in the body of a POST,
// so that it stays out of histories and logs, and is no cookie, so that no other page can use it.
type page struct{ links *links }

type pageData struct {
	Signed, Hidden   bool
	URL, Link, Error string
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, status := pageData{Signed: p.links.signer != nil}, http.StatusOK
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		data.URL, data.Hidden = r.PostFormValue("url"), r.PostFormValue("hide") != ""
		var err error
		switch data.Link, err = p.links.to(data.URL, r.PostFormValue("key"), data.Hidden); {
		case err == errKey:
			data.Error, status = "That is not the key.", http.StatusForbidden
		case err != nil:
			data.Error, status = "That is not the absolute URL of a stream.", http.StatusBadRequest
		}
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	serve.PageHeader(w, "")
	w.WriteHeader(status)
	pageTemplate.Execute(w, data)
}

// inert keeps a hostile page, proxied and opened in a browser, from running scripts in the name of this server.
func inert(next func(*http.Response) error) func(*http.Response) error {
	return func(r *http.Response) error {
		r.Header.Set("Content-Security-Policy", "sandbox; default-src 'none'")
		return next(r)
	}
}
