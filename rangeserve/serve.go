package rangeserve

import (
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// Content is what Serve answers from.
type Content struct {
	// ReaderAt gives the bytes; it may be used by several requests at once. The kinds that Serve knows how to send
	// without copying, and how another joins them, stand at [SectionWriter].
	io.ReaderAt
	// Size is the length in bytes. Zero is an empty body; negative is a fault, answered 500.
	Size int64
	// Type is the Content-Type. Empty: what the header already says, else by the extension of Name, from a table of
	// this package, else application/octet-stream. Nothing is ever guessed from the bytes.
	Type string
	// ETag is the entity tag as it stands in the header: "abc" with its quotes, or W/"abc". Empty, or not of that
	// form: what the header already says, if anything.
	ETag string
	// ModTime gives Last-Modified, in whole seconds. The zero time and the Unix epoch give none, and so does a second that
	// is not over: it may see another version (RFC 9110 section 8.8.2.2).
	ModTime time.Time
	// Name is a file name or URL path. It is used for Type alone, and to know a playlist by its extension.
	Name string
}

// Serve answers a GET or HEAD from c: preconditions, If-Range, no range, one or several, in the order of RFC 9110
// section 13.2.2. A playlist is always sent whole. Fields that the caller has set in w's header beforehand, such as
// Cache-Control, are kept in a 200, 206 and 304; a 412 and a 416 keep none that would let a cache store them. Serve
// does not look at the method otherwise, and never encodes the body.
//
// A body in memory is sent from where it lies, with one Write for every 512 KiB, a file by the kernel where the connection
// allows it. When c gives fewer bytes than Size, or the client goes, Serve panics with http.ErrAbortHandler, which closes
// the connection.
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

// must breaks the connection when a body could not be sent whole: the status is long gone.
func must[N int | int64](_ N, err error) {
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}
