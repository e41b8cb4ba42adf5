package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
)

// hollow is a body of this many bytes, with any content.
type hollow int64

func (h hollow) Size() int64                           { return int64(h) }
func (h hollow) ReadAt(p []byte, _ int64) (int, error) { return len(p), nil }

func entry(body cache.Body) *cache.Entry {
	return &cache.Entry{Status: http.StatusOK, Header: mediaType, Body: body, Time: time.Now(), TTL: time.Hour}
}

var mediaType = http.Header{"Content-Type": {"video/mp2t"}}

// keys are the keys of objects, as a Transport makes them: their URLs.
func (t trace) keys() []string {
	keys := make([]string, len(t.names))
	for i, name := range t.names {
		keys[i] = "http://o.example/" + name
	}
	return keys
}

// fake is an origin that has nothing but playlists.
type fake struct{ playlist string }

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := &http.Response{StatusCode: http.StatusNotFound, Header: http.Header{}, Body: http.NoBody, Request: r}
	if r.Method == http.MethodGet {
		resp.StatusCode, resp.ContentLength = http.StatusOK, int64(len(f.playlist))
		resp.Header = http.Header{"Content-Type": {"application/vnd.apple.mpegurl"}, "Etag": {`"e"`}}
		resp.Body = io.NopCloser(strings.NewReader(f.playlist))
	}
	return resp, nil
}

// refs finds what rewrite.Refs would find in the playlists of fake.
func refs(playlist []byte, _ string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.Lines(string(playlist)) {
			if strings.HasPrefix(line, "http") && !yield(strings.TrimSpace(line)) {
				return
			}
		}
	}
}

// memoryHits sends HEAD requests, which hold no body, and stores what is missing.
func memoryHits(t trace, capacity int64) (hits int) {
	origin, m, keys := &fake{}, cache.NewMemory(capacity), t.keys()
	c := &cache.Transport{Base: origin, Store: m, Refs: refs, TTL: func(*cache.Entry) time.Duration { return time.Nanosecond }}
	edges := t.edges
	ask := &http.Request{Method: http.MethodHead, URL: &url.URL{Scheme: "http", Host: "o.example"}, Header: http.Header{}}
	for i, o := range t.requests {
		for ; len(edges) > 0 && edges[0].before == i; edges = edges[1:] {
			origin.refresh(c, edges[0], keys)
		}
		ask.URL.Path = strings.TrimPrefix(keys[o], "http://o.example")
		resp, err := c.RoundTrip(ask)
		if err != nil {
			log.Fatal(err)
		}
		if resp.StatusCode == http.StatusOK {
			hits++
		} else {
			m.Put(context.Background(), keys[o], entry(hollow(t.sizes[o])))
		}
	}
	return hits
}

// refresh fetches a live playlist through the cache.
func (f *fake) refresh(c *cache.Transport, e edge, keys []string) {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-TARGETDURATION:4\n")
	for _, o := range e.window {
		b.WriteString("#EXTINF:4,\n" + keys[o] + "\n")
	}
	f.playlist = b.String()
	r, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://o.example/%d/index.m3u8", e.channel), nil)
	if err != nil {
		log.Fatal(err)
	}
	resp, err := c.RoundTrip(r)
	if err != nil {
		log.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}
