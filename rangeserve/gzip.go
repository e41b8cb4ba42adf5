package rangeserve

import (
	"net/http"
	"path/filepath"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// compressed opens the file with .gz after its name instead of a playlist, if that exists, is not older, and the client accepts
// it. The caller releases the result instead of h.
func (f *Files) compressed(w http.ResponseWriter, r *http.Request, name string, h *handle) *handle {
	if !f.Gzip || hls.ByName(name) != hls.Playlist {
		return h
	}
	w.Header().Add("Vary", "Accept-Encoding")
	if !acceptsGzip(r.Header["Accept-Encoding"]) {
		return h
	}
	z, err := f.handles.acquire(f.Root, filepath.FromSlash(name)+".gz")
	if err != nil {
		return h
	}
	if z.info.ModTime().Before(h.info.ModTime()) {
		f.handles.release(z)
		return h
	}
	f.handles.release(h)
	set(w.Header(), "Content-Encoding", "gzip")
	return z
}

// acceptsGzip reads Accept-Encoding (RFC 9110 section 12.5.3). Without the field any coding is allowed, but a client that does
// not ask for gzip may not know it.
func acceptsGzip(lines []string) bool {
	named, any := unsaid, unsaid
	for _, line := range lines {
		for member := range strings.SplitSeq(line, ",") {
			coding, params, _ := strings.Cut(member, ";")
			switch strings.ToLower(strings.Trim(coding, " \t")) {
			case "gzip", "x-gzip":
				named = max(named, weight(params))
			case "*":
				any = max(any, weight(params))
			}
		}
	}
	return named == wanted || named == unsaid && any == wanted
}

type wish int8

const (
	unsaid wish = iota
	unwanted
	wanted
)

// weight tells zero from all other quality values (RFC 9110 section 12.4.2).
func weight(params string) wish {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.Trim(param, " \t"), "=")
		if strings.EqualFold(name, "q") && strings.Trim(value, "0.") == "" {
			return unwanted
		}
	}
	return wanted
}
