package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/examples/internal/films"
	"github.com/hlsproxy/hlsproxy/examples/internal/ladder"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/hlsproxy/hlsproxy/examples/internal/uploads"
	"github.com/hlsproxy/hlsproxy/rewrite"
)

// site is the page: the titles of the bucket and the ways to play each.
type site struct {
	store  *store
	links  *serve.Links
	shared *cache.Transport
	play   rewrite.Mapper // for playing through this server
	edge   rewrite.Mapper // for playing from CloudFront; nil: not used
}

// mount adds the page and all that it calls.
func (s *site) mount(mux *http.ServeMux, upload *uploads.Uploads) error {
	page, err := films.NewPage(s.list, uploads.More, upload.Refused())
	if err != nil {
		return err
	}
	gate, sameSite := s.links.Gate, http.NewCrossOriginProtection()
	mux.Handle("GET /{$}", gate(page))
	mux.HandleFunc("GET /style.css", serve.Style)
	mux.Handle("POST /upload", sameSite.Handler(gate(upload)))
	mux.Handle("GET /jobs", gate(upload.Watch()))
	mux.Handle("GET /jobs/{id}/picture", gate(http.HandlerFunc(upload.Picture)))
	mux.Handle("DELETE /jobs/{id}", sameSite.Handler(gate(http.HandlerFunc(upload.Cancel))))
	mux.Handle("DELETE /titles/{key...}", sameSite.Handler(gate(http.HandlerFunc(s.remove))))
	return nil
}

// link is the link that plays an object in this way.
func (s *site) link(way rewrite.Mapper, key string) (string, error) {
	public, err := way.AppendPublic(nil, []byte(s.store.address(key)))
	if err != nil {
		return "", err
	}
	return s.links.Signer.URL(string(public))
}

func (s *site) list(ctx context.Context, after string) (list films.List, err error) {
	titles, next, err := s.store.titles(ctx, after)
	list.Next = next
	for _, t := range titles {
		film := films.Film{Name: t.name, Delete: (&url.URL{Path: "/titles/" + t.key}).EscapedPath()}
		for _, way := range []struct {
			name string
			by   rewrite.Mapper
			key  string
		}{{"", s.play, t.playlist}, {"the film itself", s.play, t.original}, {"by CloudFront", s.edge, t.playlist}} {
			if way.key == "" || way.by == nil {
				continue
			}
			link, failed := s.link(way.by, way.key)
			err = errors.Join(err, failed)
			if film.Link == "" {
				film.Link = link
			} else {
				film.Also = append(film.Also, films.Also{Name: way.name, Link: link})
			}
		}
		list.Films = append(list.Films, film)
	}
	return list, err
}

// publish first cleans up, if that was postponed because the store was unreachable.
func (s *site) publish(p *publisher) func(context.Context, uploads.Film, func(int)) (string, error) {
	return func(ctx context.Context, film uploads.Film, percent func(int)) (string, error) {
		if err := p.clean(ctx); err != nil {
			return "", storeFails(err)
		}
		key, err := p.publish(ctx, film, percent)
		if err != nil {
			return "", storeFails(err)
		}
		return s.link(s.play, key)
	}
}

// storeFails logs a failure, and explains it to the uploader.
func storeFails(err error) error {
	serve.Log("the object store", err)
	return ladder.Refusal{Status: http.StatusBadGateway, Text: "The object store could not take the film."}
}

// remove answers DELETE /titles/KEY.
func (s *site) remove(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("key")
	if key == "" || strings.HasPrefix(key, ".") || strings.HasPrefix(key, "/") {
		http.Error(w, "That is the key of no title.", http.StatusNotFound)
		return
	}
	remove := s.store.removeOne
	if strings.HasSuffix(key, "/") {
		remove = s.store.remove
	}
	if err := remove(r.Context(), key); err != nil {
		serve.Log("the object store", err)
		http.Error(w, "The object store could not remove the title.", http.StatusBadGateway)
		return
	}
	if _, err := s.shared.PurgePrefix(r.Context(), s.store.address(key)); err != nil {
		serve.Log("the cache", err)
	}
	w.WriteHeader(http.StatusNoContent)
}

// mark is where this program on this machine lists what it has begun to store.
func mark(o options) string {
	host, _ := os.Hostname()
	sum := sha256.Sum256([]byte(host + "\n" + o.work))
	return ".uploading/" + hex.EncodeToString(sum[:8]) + "/"
}

// withLink answers 403 to requests without a link: a login would not help.
func withLink(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&forbidding{w}, r)
	})
}

type forbidding struct{ http.ResponseWriter }

func (f *forbidding) WriteHeader(status int) {
	if status == http.StatusUnauthorized {
		status = http.StatusForbidden
	}
	f.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (f *forbidding) Unwrap() http.ResponseWriter { return f.ResponseWriter }
