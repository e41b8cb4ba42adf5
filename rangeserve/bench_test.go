package rangeserve_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/hlsproxy/hlsproxy/rangeserve"
)

var benchSizes = []int{1 << 10, 200 << 10, 2 << 20, 8 << 20}

// BenchmarkMemory compares Serve with http.ServeContent over loopback, 64 connections, for a body in memory.
func BenchmarkMemory(b *testing.B) {
	for _, size := range benchSizes {
		body := bodyOf(size)
		c := rangeserve.Content{ReaderAt: bytes.NewReader(body), Size: int64(size), Type: "video/mp4", ETag: `"v1"`, ModTime: modified}
		for name, h := range map[string]http.HandlerFunc{
			"Serve": func(w http.ResponseWriter, r *http.Request) { rangeserve.Serve(w, r, c) },
			"ServeContent": func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "video/mp4")
				w.Header().Set("Etag", `"v1"`)
				http.ServeContent(w, r, "", modified, bytes.NewReader(body))
			},
		} {
			b.Run(fmt.Sprintf("%dKB/%s", size>>10, name), func(b *testing.B) { load(b, start(b, h), "", size) })
		}
	}
}

// BenchmarkFile is the same for files in the page cache, and for ranges of 64 KB of the largest.
func BenchmarkFile(b *testing.B) {
	dir := b.TempDir()
	files := settled(&rangeserve.Files{Root: openRoot(b, dir)})
	for name, h := range map[string]http.Handler{"Files": files, "FileServer": http.FileServer(http.Dir(dir))} {
		for _, size := range benchSizes {
			file := fmt.Sprint(size, ".mp4")
			if err := os.WriteFile(filepath.Join(dir, file), bodyOf(size), 0o600); err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("%dKB/%s", size>>10, name), func(b *testing.B) { load(b, start(b, h)+"/"+file, "", size) })
		}
		b.Run("64KB of 8MB/"+name, func(b *testing.B) {
			load(b, start(b, h)+"/"+fmt.Sprint(8<<20, ".mp4"), "bytes=1000000-1065535", 64<<10)
		})
	}
}

// BenchmarkHandler measures the cost of wrapping: without a range, and cutting.
func BenchmarkHandler(b *testing.B) {
	body := bodyOf(200 << 10)
	whole := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		describe(w.Header(), len(body), `"v1"`)
		_, _ = w.Write(body)
	})
	for _, c := range []struct {
		name, header string
		h            http.Handler
	}{{"bare", "", whole}, {"wrapped", "", rangeserve.Handler(whole)}, {"cut", "bytes=1000-", rangeserve.Handler(whole)}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest("GET", "/film.mp4", nil)
				if c.header != "" {
					r.Header.Set("Range", c.header)
				}
				c.h.ServeHTTP(discard{http.Header{}}, r)
			}
		})
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) WriteHeader(int)             {}
func (d discard) Write(p []byte) (int, error) { return len(p), nil }

// load asks for one URL over 64 connections.
func load(b *testing.B, url, rangeHeader string, size int) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true, ReadBufferSize: 256 << 10}}
	b.Cleanup(client.CloseIdleConnections)
	b.SetBytes(int64(size))
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			req, err := http.NewRequest("GET", url, nil)
			if err != nil {
				b.Error(err)
				return
			}
			if rangeHeader != "" {
				req.Header.Set("Range", rangeHeader)
			}
			resp, err := client.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			n, err := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if err != nil || n != int64(size) {
				b.Error(n, err)
				return
			}
		}
	})
}
