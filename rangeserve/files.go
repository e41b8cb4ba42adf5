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

// Files is an http.Handler that serves the regular files below Root as [Serve] does: ranges, preconditions, media types from
// this package's own table. Its fields must not change after first use. It may then be used concurrently.
//
// The file is the path of the request's URL, with or without a leading slash: remove a mount point with http.StripPrefix. There
// are no directory listings and no index pages. Anything that cannot be served is a 404, whatever the reason: missing names,
// directories, named pipes and devices, names with a segment that is empty or begins with a dot, names with a NUL, a backslash
// or an encoded slash, symbolic links that lead out of Root. Methods other than GET and HEAD are answered with 405.
//
// The ETag is a strong one, made from the file's size, times and, if the system has it, its identity: it changes with the file,
// also within one second. If a file is replaced by renaming another over it, running answers continue with the old file. If a
// file is written to or truncated while it is sent, the connection breaks, unless its size and modification time stay the same.
// Data handed to sendfile is read when it is sent: a file modified in place after a rest of two seconds may still alter what a
// slow client receives.
//
// A file that was changed in the last two seconds (by its change time, if the system has one) may still be in a write. Its ETag
// is weak, and it has no Last-Modified, so no If-Range joins its current bytes with later ones. If it was changed in the last
// 200 ms, its last 128 KiB are sent only after this time, and only if the file still has all the bytes that were sent;
// otherwise the connection is broken. A single write that takes longer is not noticed. Neither is one through a memory map,
// until the system updates the time.
//
// HTML, SVG and other XML carry "Content-Security-Policy: sandbox; default-src 'none'", unless the header has this field
// already or Pages is set: a file that somebody has put into the folder cannot run scripts in the name of this site.
//
// On Unix up to 64 files stay open between requests, each for at most ten seconds after its last use. Every request asks Root
// again which file has the name. Only regular files are ever opened.
type Files struct {
	// Root is the folder. It is required (without it every answer is a 500). The caller closes it.
	Root *os.Root
	// Faststart serves MP4 and QuickTime files with a moov after the media data as if it were in front: see the function
	// Faststart. Files that cannot be rearranged are served unchanged. The layouts of the last 256 files are kept, in at most
	// 16 MiB, so that a range costs no more than the range.
	Faststart bool
	// Download reports which files a browser should save under their own name instead of showing them, by Content-Disposition
	// (RFC 6266). It gets the name below Root with slashes and may be called concurrently. Nil: none.
	Download func(name string) bool
	// Gzip serves playlists compressed to clients that accept it: live.m3u8 from the file live.m3u8.gz beside it, unless that
	// is older. Without Gzip, and for everything but playlists, a body is never encoded.
	Gzip bool
	// Stall is how long a client may read nothing before its connection is broken. A client that has just read much may pause
	// three times as long. As long as it takes 64 KiB within Stall, the whole may take any time: the http.Server's WriteTimeout
	// no longer applies. Zero: 30 s. Negative: no limit.
	Stall time.Duration
	// Pages serves HTML, SVG and other XML unchanged, for a folder with the site's own pages. Their scripts run with all the
	// rights of the site in a browser: set it only if no one else can write to the folder.
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
	out.out.Arm() // net/http still has to send its buffer
}

func (f *Files) time() time.Time {
	if f.now != nil {
		return f.now()
	}
	return time.Now()
}

// restrain keeps a browser from running scripts in the file.
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

// openStatus is 404, unless the fault is the server's own and temporary, such as too many open files.
func openStatus(err error) int {
	var system interface{ Temporary() bool }
	if errors.As(err, &system) && system.Temporary() {
		return http.StatusServiceUnavailable
	}
	return http.StatusNotFound
}
