package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/chain"
)

// nowhere is a client that takes everything at once: what is left is the cost of the chain itself.
type nowhere struct {
	header http.Header
	n      int
}

func (w *nowhere) Header() http.Header { return w.header }

func (w *nowhere) WriteHeader(int) {}

func (w *nowhere) FlushError() error { return nil }

func (w *nowhere) SetWriteDeadline(time.Time) error { return nil }

func (w *nowhere) Write(p []byte) (int, error) {
	w.n += len(p)
	return len(p), nil
}

// BenchmarkHit is the chain's own time and garbage for an answer from the cache, without net/http's server and the kernel.
func BenchmarkHit(b *testing.B) {
	origin := httptest.NewServer(serveContent())
	defer origin.Close()
	h := must(chain.New(origin.URL + "/"))
	for _, l := range loads {
		b.Run(strings.ReplaceAll(l.Name, " ", "_"), func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, l.Path, nil)
			if l.Header != "" {
				r.Header.Set("Range", ranges(l))
			}
			w := nowhere{header: http.Header{}}
			h.ServeHTTP(&w, r)
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header) // the map is net/http's, and is not what is measured
				w.n = 0
				h.ServeHTTP(&w, r)
				if int64(w.n) != l.Bytes {
					b.Fatalf("%d bytes, not %d", w.n, l.Bytes)
				}
			}
		})
	}
}
