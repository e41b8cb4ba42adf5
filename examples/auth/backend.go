package main

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/hlsproxy/hlsproxy/sign"
)

//go:embed page.html
var pageHTML string

// newBackend is a backend to start from: POST /ask decides, / is a page for people, /sessions the same in JSON.
func newBackend(s *sessions) (http.Handler, error) {
	page, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /ask", func(w http.ResponseWriter, r *http.Request) {
		var q sign.Question
		switch err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&q); {
		case err != nil:
			w.WriteHeader(http.StatusBadRequest)
		case !s.admits(q):
			w.WriteHeader(http.StatusForbidden)
		}
	})
	mux.HandleFunc("GET /sessions", func(w http.ResponseWriter, r *http.Request) { writeJSON(w, s.list()) })
	mux.HandleFunc("POST /sessions", func(w http.ResponseWriter, r *http.Request) {
		one, err := s.add(r.FormValue("viewer"), r.FormValue("path"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		done(w, r, one)
	})
	mux.HandleFunc("POST /revoke", func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.Atoi(r.FormValue("id"))
		if err != nil || !s.revoke(id) {
			http.NotFound(w, r)
			return
		}
		done(w, r, s.list())
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
		page.Execute(w, s.list())
	})
	return byLoopbackName(http.NewCrossOriginProtection().Handler(mux)), nil
}

// done leads a browser back to the page, and tells a program what came of it.
func done(w http.ResponseWriter, r *http.Request, result any) {
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	writeJSON(w, result)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
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
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

func escaped(path string) string { return (&url.URL{Path: path}).EscapedPath() }
