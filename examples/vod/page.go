package main

import (
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

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
	pageTemplate.Execute(w, map[string]any{"Films": films, "Refused": p.refused})
}

func (p *page) list() ([]film, error) {
	var films []film
	for _, name := range playable(p.films, ".") {
		link, err := p.link("/vod/" + name)
		if err != nil {
			return nil, err
		}
		films = append(films, film{name, link})
	}
	return films, nil
}

// playable names the entries of a folder and those below it: its playlists where it has any, of which a master stands
// for all, and else its films.
func playable(films fs.FS, dir string) []string {
	entries, _ := fs.ReadDir(films, dir)
	var playlists, single, below []string
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch ext := strings.ToLower(path.Ext(name)); {
		case strings.HasPrefix(e.Name(), "."):
		case e.IsDir():
			below = append(below, playable(films, name)...)
		case e.Name() == "master.m3u8":
			return []string{name}
		case ext == ".m3u8":
			playlists = append(playlists, name)
		case slices.Contains([]string{".mp4", ".m4v", ".mov", ".webm", ".m4a", ".mp3"}, ext):
			single = append(single, name)
		}
	}
	if playlists != nil {
		return append(playlists, below...)
	}
	return append(single, below...)
}

// keyed asks for the key as the password of any user: who sees the page gets links, and who gets a link needs no key.
func keyed(key string, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(key))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		got := sha256.Sum256([]byte(password))
		if subtle.ConstantTimeCompare(got[:], want[:]) == 0 {
			w.Header().Set("WWW-Authenticate", `Basic realm="vod: any name, and the key as password", charset="UTF-8"`)
			http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// byLoopbackName admits requests that name this server by a loopback address. A page whose own name was made to lead
// here (DNS rebinding) counts as of the same origin and is told only by that name.
func byLoopbackName(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if host != "localhost" && (err != nil || !ip.IsLoopback()) {
			http.Error(w, "This address is served on loopback only.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
