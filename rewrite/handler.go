package rewrite

import (
	"log"
	"net/http"
	"path"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// Handler rewrites the playlists, and the JSON documents that playlists lead to, among the answers of next. next sees the same
// paths as the players: references are resolved against Public and the path of the request. Answers are treated like the
// responses of ModifyResponse. If that fails, the answer is the status of the error with a short text, and OnFailure is told
// why. Everything else streams through unchanged.
//
// Methods other than GET and HEAD, and upgrades, are left alone.
//
// Requests for the extensions .m3u8, .m3u and .json reach next without Range and the conditional fields, because these refer to
// bytes that next has never sent. A HEAD for these is answered with a GET.
func (rw *Rewriter) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ext := strings.ToLower(path.Ext(r.URL.Path))
		reads := (r.Method == http.MethodGet || r.Method == http.MethodHead) && len(r.Header["Upgrade"]) == 0
		if !reads || isMediaPath(r.URL.Path) && hls.ByName(r.URL.Path) != hls.Captions {
			next.ServeHTTP(w, r)
			return
		}
		inner := r
		if ext == ".m3u8" || ext == ".m3u" || ext == ".json" {
			inner = wholeRequest(r)
		}
		c := &capture{ResponseWriter: w, doc: rw.documentFor(r, inner.Method)}
		next.ServeHTTP(c, inner)
		c.finish(r)
	})
}

// report tells why a request failed, unless nobody waits for its answer.
func (rw *Rewriter) report(r *http.Request, err error) {
	switch {
	case rw.OnFailure != nil:
		rw.OnFailure(r, err)
	case r.Context().Err() == nil:
		log.Printf("rewrite: %s %q: %v", r.Method, r.URL.Path, err)
	}
}

// wholeRequest is r without the fields that would make the answer less than the whole.
func wholeRequest(r *http.Request) *http.Request {
	whole := r.Clone(r.Context())
	if r.Method == http.MethodHead {
		whole.Method = http.MethodGet
	}
	for _, name := range []string{
		"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Accept-Encoding",
	} {
		whole.Header.Del(name)
	}
	return whole
}

func (rw *Rewriter) documentFor(r *http.Request, method string) *document {
	base := r.URL.EscapedPath()
	if uri := strings.TrimPrefix(strings.TrimPrefix(r.RequestURI, r.URL.Scheme+"://"), r.URL.Host); strings.HasPrefix(uri, "/") {
		// Unlike the URL, it is the player's own, whatever http.StripPrefix did on the way.
		base, _, _ = strings.Cut(uri, "?")
	}
	base = "/" + strings.TrimLeft(base, "/\\") // two slashes would begin the name of a host
	if r.URL.RawQuery != "" {
		base += "?" + r.URL.RawQuery
	}
	return &document{
		rw: rw, ctx: r.Context(), base: rw.Public + base, path: r.URL.Path, relation: same, head: method == http.MethodHead,
	}
}
