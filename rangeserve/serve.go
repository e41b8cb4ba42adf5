package rangeserve

import (
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// Content is what Serve sends.
type Content struct {
	// ReaderAt reads the bytes. Several requests may use it at once. [SectionWriter] describes the types that Serve sends
	// without copying, and how another type can join them.
	io.ReaderAt
	// Size is the length in bytes. Zero is an empty body. Negative is a fault, which is answered with 500.
	Size int64
	// Type is the Content-Type. Empty: the value in the header, else by the extension of Name, from a table of this package,
	// else application/octet-stream. It is never guessed from the bytes.
	Type string
	// ETag is the entity tag in the form of the header: "abc" with its quotes, or W/"abc". Empty or malformed: the value in the
	// header, if there is one.
	ETag string
	// ModTime is Last-Modified, in whole seconds. The zero time and the Unix epoch give none. Neither does the current second,
	// because the file may still change within it (RFC 9110 section 8.8.2.2).
	ModTime time.Time
	// Name is a file name or URL path. It is used only for Type, and to recognise a playlist by its extension.
	Name string
}

// Serve answers a GET or HEAD from c: preconditions, If-Range, no range, one or several, in the order of RFC 9110 section
// 13.2.2. A playlist is always sent whole. Fields that the caller has set in w's header before, such as Cache-Control, stay in
// a 200, 206 and 304. A 412 and a 416 keep no field that would let a cache store them. Serve does not check for other methods,
// and never encodes the body.
//
// A body in memory is sent without a copy, with one Write for every 512 KiB. The kernel sends a file if the connection allows
// it. If c has fewer bytes than Size, or the client leaves, Serve panics with http.ErrAbortHandler, which closes the
// connection.
func Serve(w http.ResponseWriter, r *http.Request, c Content) {
	if c.Size < 0 || c.ReaderAt == nil && c.Size > 0 {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	playlist := c.describe(h)
	var buf [httprange.MaxParts]httprange.Range
	status, ranges := http.StatusOK, []httprange.Range(nil)
	if playlist {
		status = httprange.Precondition(r, h)
	} else {
		status, ranges = httprange.Decide(buf[:0], r, h, c.Size)
	}
	switch status {
	case http.StatusOK:
		setWhole(h, c.Size, playlist)
		w.WriteHeader(status)
		if r.Method != http.MethodHead && c.Size > 0 {
			must(writeSection(w, c.ReaderAt, 0, c.Size))
		}
	case http.StatusPartialContent:
		c.servePartial(w, ranges)
	case http.StatusNotModified:
		setNotModified(h)
		w.WriteHeader(status)
	default:
		setRefused(h, status, c.Size)
		w.WriteHeader(status)
	}
}

// describe sets the fields that describe the whole body, and reports whether it is a playlist.
func (c *Content) describe(h http.Header) (playlist bool) {
	if c.Type != "" {
		set(h, "Content-Type", c.Type)
	} else if len(h["Content-Type"]) == 0 {
		set(h, "Content-Type", hls.TypeByName(c.Name))
	}
	if httprange.ValidETag(c.ETag) {
		set(h, "Etag", c.ETag)
	}
	if t := c.ModTime.Unix(); t > 0 && t < time.Now().Unix() {
		set(h, "Last-Modified", c.ModTime.UTC().Format(http.TimeFormat))
	}
	return hls.IsPlaylist(field(h, "Content-Type"), c.Name)
}

func (c *Content) servePartial(w http.ResponseWriter, ranges []httprange.Range) {
	if len(ranges) == 1 {
		h, r := w.Header(), ranges[0]
		setPartial(h, &parts{ranges: ranges, size: c.Size})
		w.WriteHeader(http.StatusPartialContent)
		must(writeSection(w, c.ReaderAt, r.Start, r.Length))
		return
	}
	h := w.Header()
	p := newParts(append([]httprange.Range(nil), ranges...), c.Size, strings.Join(h["Content-Type"], ","))
	setPartial(h, p)
	w.WriteHeader(http.StatusPartialContent)
	for i, r := range p.ranges {
		must(io.WriteString(w, p.before(i)))
		must(writeSection(w, c.ReaderAt, r.Start, r.Length))
	}
	must(io.WriteString(w, p.after()))
}

// must breaks the connection if a body could not be sent whole: the status was sent long ago.
func must[N int | int64](_ N, err error) {
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}
