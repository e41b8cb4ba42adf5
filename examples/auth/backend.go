package main

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/hlsproxy/hlsproxy/sign"
)

//go:embed page.html
var pageHTML string

var page = template.Must(template.New("page").Parse(pageHTML))

// newBackend is a backend to start from: POST /ask decides, / is a page for people, /sessions has the same in JSON. The page
// can make links to a playlist.
func newBackend(s *sessions, playlist string) http.Handler {
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
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		one, err := s.add(r.FormValue("viewer"), r.FormValue("path"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		done(w, r, one)
	})
	mux.HandleFunc("POST /revoke", func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		id, err := strconv.Atoi(r.FormValue("id"))
		if err != nil || !s.revoke(id) {
			http.NotFound(w, r)
			return
		}
		done(w, r, s.list())
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		serve.PageHeader(w, "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'")
		page.Execute(w, map[string]any{"Sessions": s.list(), "Playlist": playlist})
	})
	mux.HandleFunc("GET /style.css", serve.Style)
	return serve.OnLoopback(private(http.NewCrossOriginProtection().Handler(mux)))
}

// private keeps tokens out of caches and out of the Referer of linked pages.
func private(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// done sends a browser back to the page, and sends the result to a program.
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
