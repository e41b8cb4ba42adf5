package rangeserve

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Files is an http.Handler that serves the regular files below Root as [Serve] does: ranges, preconditions, media types
// from this package's own table. Its fields must not change after first use; it may then be used concurrently.
//
// The file is the path of the request's URL, with or without a leading slash: take a mount point off with
// http.StripPrefix. There are no directory listings and no index pages. What cannot be served is a 404, whatever the
// reason: names that do not exist, directories, named pipes and devices, names with a segment that is empty or begins
// with a dot, names with a NUL, a backslash or an encoded slash, symbolic links that lead out of Root. Other methods
// than GET and HEAD are answered 405.
//
// The ETag is a strong one made from the file's size, times and, where the system has them, its identity: it changes
// with the file, also within one second. A file that is replaced by renaming another over it is sent to its end as it
// was when it was opened. One that is written to or truncated while it is being sent breaks the connection, unless its
// size and modification time stay as they were. What the system has been told to send it takes from the file when it
// does: a file that is written to in place may still change what a slow client gets after the answer has ended here.
//
// On Unix up to 64 files stay open between requests, each for at most ten seconds after its last use. Every request asks
// Root anew what the name stands for.
type Files struct {
	// Root is the folder. It is required (without it every answer is a 500), and stays the caller's to close.
	Root *os.Root
	// Faststart serves the MP4 and QuickTime files whose moov stands behind the media data as if it stood in front: see
	// the function of that name. Files that cannot be rearranged are served as they are. What is known of the last 256
	// files is kept, up to 64 MiB of it, so that a range costs no more than the range.
	Faststart bool
	// Download says which files a browser is to save under their own name rather than to show, by
	// Content-Disposition (RFC 6266). It gets the name below Root with slashes and may be called concurrently. Nil: none.
	Download func(name string) bool
	// Gzip serves playlists compressed to clients that accept it: live.m3u8 from the file live.m3u8.gz beside it, unless
	// that one is the older of the two. Without it, and for all that is no playlist, a body is never encoded.
	Gzip bool
	// Stall is how long a client may take nothing of what is written to it before its connection is broken. While it takes
	// something the whole may last for as long as it likes: the http.Server's WriteTimeout no longer counts. 0: 30 s.
	// Negative: no limit of its own.
	Stall time.Duration

	layouts layouts
	handles handles
}

// ServeHTTP answers a GET or HEAD for one file.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, http.StatusMethodNotAllowed)
		return
	}
	if f.Root == nil {
		fail(w, http.StatusInternalServerError)
		return
	}
	name, ok := fileName(r.URL)
	if !ok {
		fail(w, http.StatusNotFound)
		return
	}
	h, err := f.handles.acquire(f.Root, filepath.FromSlash(name))
	if err != nil {
		fail(w, openStatus(err))
		return
	}
	h = f.compressed(w, r, name, h)
	defer f.handles.release(h)
	var v *view
	if f.Faststart && rearrangeable(name) {
		v = f.layouts.view(h)
	}
	if f.Download != nil && f.Download(name) {
		w.Header().Set("Content-Disposition", attachment(name))
	}
	f.serve(w, r, h.content(name, v))
}

func (f *Files) serve(w http.ResponseWriter, r *http.Request, c Content) {
	v := &viewer{ResponseWriter: w, stall: f.Stall, h2: r.ProtoMajor > 1}
	if v.stall == 0 {
		v.stall = defaultStall
	}
	Serve(v, r, c)
	v.arm() // net/http has yet to send what it holds back
}

func fail(w http.ResponseWriter, status int) { http.Error(w, http.StatusText(status), status) }

// openStatus is 404 unless the fault is the server's own and will pass, such as too many open files.
func openStatus(err error) int {
	var system interface{ Temporary() bool }
	if errors.As(err, &system) && system.Temporary() {
		return http.StatusServiceUnavailable
	}
	return http.StatusNotFound
}
