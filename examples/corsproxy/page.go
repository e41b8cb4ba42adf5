package main

import (
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"strings"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/hlsproxy/hlsproxy/sign"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// page is the form at /. If links are signed, it makes one only for a person with the key: so the page may be public, also
// behind another proxy, and strangers get no links. The key is sent in the body of a POST, so that it stays out of histories
// and logs. It is not a cookie, so no other page can use it.
type page struct{ links *links }

type pageData struct {
	Signed, Hidden, Cookies, List     bool
	URL, Header, Inherit, Link, Error string
}

// upstream is the form's part about requests to the origin: one field per line, and names of parameters separated by blanks.
func (d *pageData) upstream() (sign.Upstream, error) {
	up := sign.Upstream{Header: http.Header{}, Inherit: strings.Fields(d.Inherit), Cookies: d.Cookies}
	for line := range strings.Lines(d.Header) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return up, errField
		}
		up.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return up, nil
}

var errField = errors.New("no field")

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, status := pageData{Signed: p.links.signer != nil}, http.StatusOK
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		data.URL, data.Hidden, data.Cookies = r.PostFormValue("url"), r.PostFormValue("hide") != "", r.PostFormValue("cookies") != ""
		data.Header, data.Inherit = r.PostFormValue("header"), r.PostFormValue("inherit")
		up, err := data.upstream()
		if err == nil {
			data.Link, err = p.links.to(data.URL, r.PostFormValue("key"), data.Hidden, up)
		}
		data.List = isList(data.URL)
		switch {
		case err == errField:
			data.Error, status = "A header field is a name, a colon and a value.", http.StatusBadRequest
		case err == errKey:
			data.Error, status = "That is not the key.", http.StatusForbidden
		case err != nil:
			data.Error, status = "That is not the absolute URL of a stream, or a header field cannot be sent.", http.StatusBadRequest
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

// inert keeps a hostile page, if it is fetched through the proxy and opened in a browser, from running scripts in the name of
// this server.
func inert(next func(*http.Response) error) func(*http.Response) error {
	return func(r *http.Response) error {
		r.Header.Set("Content-Security-Policy", "sandbox; default-src 'none'")
		return next(r)
	}
}
