package main

import (
	"net/http"
	"path"
	"sync/atomic"
)

// traffic counts requests at one place.
type traffic struct {
	playlists, segments, bytes, refused, failed atomic.Int64
}

// counts is traffic at one moment.
type counts struct {
	Playlists int64 `json:"playlists"`
	Segments  int64 `json:"segments"` // and parts, and init sections
	Bytes     int64 `json:"bytes"`    // of bodies
	Refused   int64 `json:"refused"`  // 401 and 403
	Failed    int64 `json:"failed"`   // 5xx
}

func (t *traffic) counts() counts {
	return counts{t.playlists.Load(), t.segments.Load(), t.bytes.Load(), t.refused.Load(), t.failed.Load()}
}

func (c counts) requests() int64 { return c.Playlists + c.Segments }

func (c counts) plus(d counts) counts {
	return counts{c.Playlists + d.Playlists, c.Segments + d.Segments, c.Bytes + d.Bytes, c.Refused + d.Refused, c.Failed + d.Failed}
}

// count wraps a handler. Everything except a playlist counts as a segment.
func (t *traffic) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path.Ext(r.URL.Path) == ".m3u8" {
			t.playlists.Add(1)
		} else {
			t.segments.Add(1)
		}
		next.ServeHTTP(&countingWriter{w, t}, r)
	})
}

type countingWriter struct {
	http.ResponseWriter
	t *traffic
}

func (w *countingWriter) WriteHeader(status int) {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		w.t.refused.Add(1)
	case status >= http.StatusInternalServerError:
		w.t.failed.Add(1)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	w.t.bytes.Add(int64(n))
	return n, err
}

func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
