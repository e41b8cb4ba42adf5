package rangeserve

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/stall"
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
// The ETag is a strong one made from the file's size, times and, where the system has them, its identity: it changes with the
// file, also within one second. A file that is replaced by renaming another over it is sent to its end as it was when it was
// opened. One that is written to or truncated while it is being sent breaks the connection, unless its size and modification
// time stay as they were. The system reads what it was told to send only when it sends it: a file that is written to in place
// after a rest of two seconds may still change what a slow client gets.
//
// A file that was changed in the last two seconds, by its change time where the system has one, may still be in a write. Its
// ETag is weak, and it has no Last-Modified, so that no If-Range joins what is read of it with what is read later. If it was
// changed in the last 200 ms, its last 128 KiB are sent when these have passed, and only if all that was sent still stands in
// the file; otherwise the connection is broken. A single write that takes longer is not noticed, nor is one through a memory
// map until the system notes its time.
//
// HTML, SVG and other XML carry "Content-Security-Policy: sandbox; default-src 'none'", unless the header says something
// already or Pages is set: what somebody has put into the folder runs no script in the name of this site.
//
// On Unix up to 64 files stay open between requests, each for at most ten seconds after its last use. Every request asks
// Root anew what the name stands for. Nothing but regular files is ever opened.
type Files struct {
	// Root is the folder. It is required (without it every answer is a 500), and stays the caller's to close.
	Root *os.Root
	// Faststart serves the MP4 and QuickTime files whose moov stands behind the media data as if it stood in front: see
	// the function of that name. Files that cannot be rearranged are served as they are. Where the bytes of the last 256
	// files stand is kept, in at most 16 MiB, so that a range costs no more than the range.
	Faststart bool
	// Download says which files a browser is to save under their own name rather than to show, by
	// Content-Disposition (RFC 6266). It gets the name below Root with slashes and may be called concurrently. Nil: none.
	Download func(name string) bool
	// Gzip serves playlists compressed to clients that accept it: live.m3u8 from the file live.m3u8.gz beside it, unless
	// that one is the older of the two. Without it, and for all that is no playlist, a body is never encoded.
	Gzip bool
	// Stall is how long a client may take nothing of what is written to it before its connection is broken. While it takes
	// something the whole may last for as long as it likes: the http.Server's WriteTimeout no longer counts. Zero: 30 s.
	// Negative: no limit of its own.
	Stall time.Duration
	// Pages serves HTML, SVG and other XML as they are, for a folder that holds the pages of the site itself. Their
	// scripts run with all the rights that the site has in a browser: set it only where no one else can write.
	Pages bool

	layouts layouts
	handles handles
	now     func() time.Time // nil: time.Now
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
	if f.Download != nil && f.Download(name) {
		w.Header().Set("Content-Disposition", attachment(name))
	}
	if !f.Pages {
		restrain(w.Header(), name)
	}
	v := version{handle: h, name: name, age: f.time().Sub(changeTime(h.info))}
	fast := f.Faststart && rearrangeable(name)
	switch {
	case !fast:
	case v.age < young:
		v.layout = findLayout(h)
	default:
		v.layout = f.layouts.of(h)
	}
	out := &viewer{ResponseWriter: w, out: stall.New(w, r, f.Stall)}
	Serve(out, r, v.content(fast))
	out.out.Arm() // net/http has yet to send what it holds back
}

func (f *Files) time() time.Time {
	if f.now != nil {
		return f.now()
	}
	return time.Now()
}

// restrain keeps a browser from running the scripts of what it shows.
func restrain(h http.Header, name string) {
	kind := field(h, "Content-Type")
	if kind == "" {
		kind = hls.TypeByName(name)
	}
	if _, said := h["Content-Security-Policy"]; said || !hls.RunsScripts(kind) {
		return
	}
	set(h, "Content-Security-Policy", "sandbox; default-src 'none'")
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
