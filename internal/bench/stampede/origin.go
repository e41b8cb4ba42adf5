package main

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	steps = 100
	every = 20 * time.Millisecond
	piece = 4 << 20 / steps
	size  = piece * steps
)

// origin sends a segment over two seconds, for any path.
type origin struct {
	chunked bool

	mu   sync.Mutex
	ends map[string][]time.Time // by path and server
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "video/mp2t")
	if !o.chunked {
		w.Header().Set("Content-Length", strconv.Itoa(size))
	}
	bytes := make([]byte, piece)
	began, flush := time.Now(), http.NewResponseController(w)
	for i := range steps {
		time.Sleep(time.Until(began.Add(time.Duration(i) * every)))
		w.Write(bytes)
		flush.Flush()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ends[r.URL.Path] = append(o.ends[r.URL.Path], time.Now())
}

// take returns when the answers for a path ended, and forgets them.
func (o *origin) take(path string) []time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	ends := o.ends[path]
	delete(o.ends, path)
	return ends
}
