package main

import (
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"html/template"
	"net/http"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// page is the form at /. Where links are signed, it makes one only for who knows the key: it may stand on a public
// address, also behind another proxy, and is no source of links for strangers. The key travels in the body of a POST,
// so that it stays out of histories and logs, and is no cookie, so that no other page can use it.
type page struct {
	urls  rewrite.Mapper
	links *sign.Signer // nil: links are not signed
	key   string
}

type pageData struct {
	Signed           bool
	URL, Link, Error string
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, status := pageData{Signed: p.links != nil}, http.StatusOK
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		data.URL = r.PostFormValue("url")
		data.Link, data.Error, status = p.link(data.URL, r.PostFormValue("key"))
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	w.WriteHeader(status)
	pageTemplate.Execute(w, data)
}

func (p *page) link(url, key string) (link, fault string, status int) {
	got, want := sha256.Sum256([]byte(key)), sha256.Sum256([]byte(p.key))
	if p.links != nil && subtle.ConstantTimeCompare(got[:], want[:]) == 0 {
		return "", "That is not the key.", http.StatusForbidden
	}
	public, err := p.urls.AppendPublic(nil, []byte(url))
	if err == nil && p.links != nil {
		link, err = p.links.URL(string(public))
	} else {
		link = string(public)
	}
	if err != nil {
		return "", "That is not the absolute URL of a stream.", http.StatusBadRequest
	}
	return link, "", http.StatusOK
}
