package rangeserve_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/hlsproxy/hlsproxy/rangeserve"
)

func ExampleServe() {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const body = "0123456789"
		rangeserve.Serve(w, r, rangeserve.Content{
			ReaderAt: strings.NewReader(body), Size: int64(len(body)), Name: "seg1.ts", ETag: `"v1"`,
		})
	})
	r := httptest.NewRequest("GET", "/seg1.ts", nil)
	r.Header.Set("Range", "bytes=-3")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("Content-Type"), w.Header().Get("Content-Range"), w.Body)
	// Output: 206 video/mp2t bytes 7-9/10 789
}

// A handler that knows nothing of ranges.
func ExampleHandler() {
	whole := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "video/mp4")
		w.Header().Set("Content-Length", "10")
		io.WriteString(w, "0123456789")
	})
	r := httptest.NewRequest("GET", "/film.mp4", nil)
	r.Header.Set("Range", "bytes=0-1")
	w := httptest.NewRecorder()
	rangeserve.Handler(whole).ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("Content-Range"), w.Body)
	// Output: 206 bytes 0-1/10 01
}

func ExampleFiles() {
	dir, err := os.MkdirTemp("", "films")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "film.mp4"), []byte("0123456789"), 0o600); err != nil {
		panic(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		panic(err)
	}
	defer root.Close()
	mux := http.NewServeMux()
	mux.Handle("/vod/", http.StripPrefix("/vod/", &rangeserve.Files{Root: root}))

	r := httptest.NewRequest("GET", "/vod/film.mp4", nil)
	r.Header.Set("Range", "bytes=4-")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("Content-Type"), w.Header().Get("Content-Range"), w.Body)
	// Output: 206 video/mp4 bytes 4-9/10 456789
}

func ExampleParse() {
	ranges, err := rangeserve.Parse("bytes=0-99, 100-199, -50", 1000)
	fmt.Println(ranges, err)
	_, err = rangeserve.Parse("bytes=1000-", 1000)
	fmt.Println(err)
	// Output:
	// [{0 200} {950 50}] <nil>
	// no range can be satisfied
}
