package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// origin is a plain media server without CORS, which counts its requests.
type origin struct {
	*httptest.Server
	files http.Handler

	mu       sync.Mutex
	requests map[string]int
	log      []*http.Request
}

// newOrigin serves a folder until the test ends.
func newOrigin(t testing.TB, dir string) *origin { return startOrigin(t, folder(dir)) }

func folder(dir string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := os.ReadFile(filepath.Join(dir, path.Clean(r.URL.Path)))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/breaks/") { // the HLS draft wants absolute URLs there
			b = bytes.ReplaceAll(b, []byte(`"../`), []byte(`"http://`+r.Host+"/"))
		}
		serveMedia(w, r, b)
	})
}

func startOrigin(t testing.TB, h http.Handler) *origin {
	o := &origin{files: h, requests: map[string]int{}}
	o.Server = httptest.NewServer(o)
	t.Cleanup(func() {
		o.kill()
		if t.Failed() {
			t.Log("the origin was asked last:\n" + o.told())
		}
	})
	return o
}

// told are the last requests. They show why a player failed.
func (o *origin) told() string {
	var b strings.Builder
	seen := o.seen()
	for _, r := range seen[max(0, len(seen)-50):] {
		fmt.Fprintf(&b, "%s %s %s %s\n", r.Method, r.URL, r.Header.Get("Range"), r.UserAgent())
	}
	return b.String()
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	o.requests[r.URL.Path]++
	o.log = append(o.log, r)
	o.mu.Unlock()
	o.files.ServeHTTP(w, r)
}

// asked is the number of requests for a path, or of all requests for "".
func (o *origin) asked(path string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if path == "" {
		return len(o.log)
	}
	return o.requests[path]
}

// seen are the requests so far.
func (o *origin) seen() []*http.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.log)
}

// kill ends the server and every connection to it at once.
func (o *origin) kill() {
	o.Listener.Close()
	o.CloseClientConnections()
	o.Close()
}

func serveMedia(w http.ResponseWriter, r *http.Request, b []byte) {
	w.Header().Set("Content-Type", mediaType(r.URL.Path))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
}

func mediaType(name string) string {
	switch {
	case strings.HasSuffix(name, ".m3u8"):
		return "application/vnd.apple.mpegurl"
	case strings.HasSuffix(name, ".ts"):
		return "video/mp2t"
	case strings.HasSuffix(name, ".m4s"), strings.HasSuffix(name, ".mp4"):
		return "video/mp4"
	case strings.HasSuffix(name, ".vtt"):
		return "text/vtt"
	case strings.HasSuffix(name, ".jpg"):
		return "image/jpeg"
	case strings.HasSuffix(name, ".json"):
		return "application/json"
	}
	return "application/octet-stream"
}
