package origin

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/coding"
	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/hop"
	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// isPassed reports whether a header of an answer reaches the viewer. It lists what is wanted. A list of headers that could harm
// the domain of this proxy would never be complete: Set-Cookie, Location, Refresh, Link, CORS and related fields, Alt-Svc,
// HSTS, Clear-Site-Data, Service-Worker-Allowed, reporting, authentication prompts.
func isPassed(name string) bool {
	switch name {
	case "Accept-Ranges", "Age", "Cache-Control", "Cache-Status", "Cdn-Cache-Control", "Cmsd-Dynamic", "Cmsd-Static",
		"Content-Digest", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length", "Content-Md5",
		"Content-Range", "Content-Type", "Date", "Digest", "Etag", "Expires", "Last-Modified", "Pragma", "Repr-Digest",
		"Retry-After", "Vary":
		return true
	}
	return false
}

// exposable are the names in a caller's list that may reach the viewer.
func exposable(names []string) []string {
	return slices.DeleteFunc(passable(names), func(name string) bool {
		return name == "Set-Cookie" || name == "Content-Security-Policy" || strings.HasPrefix(name, "Access-Control-")
	})
}

// clean removes the fields of an upstream header that are neither always passed on nor listed in more.
func clean(h http.Header, more []string) {
	named := hop.Named(h)
	for name := range h {
		if !isPassed(name) && !slices.Contains(more, name) || slices.Contains(named, name) {
			delete(h, name)
		}
	}
}

// announce puts the header of the answer into that of w, including fields that a hook added, but never those of the connection.
func (v *viewer) announce() {
	h, resp := v.Header(), v.resp
	switch lent := v.lent.has(resp.Header); {
	case lent && v.lent.has(h):
		dropConnection(h)
		v.lent.join()
	case lent: // a ResponseWriter with more than one map
		resp.Header = maps.Clone(resp.Header)
		fallthrough
	default:
		v.lent.takeBack()
		copyHeader(h, resp.Header)
	}
	if len(h["Content-Length"]) == 0 && (resp.ContentLength > 0 || resp.ContentLength == 0 && resp.Body == http.NoBody) {
		h["Content-Length"] = []string{strconv.FormatInt(resp.ContentLength, 10)}
	}
	if !hasBody(resp.StatusCode) && resp.StatusCode != http.StatusNotModified {
		delete(h, "Content-Length")
	}
	hideKeys(h)
	// The values belong to this answer: an outer handler that changes them in place changes no other answer.
	v.fixed[0], v.fixed[1] = "nosniff", "sandbox; default-src 'none'"
	h["X-Content-Type-Options"] = v.fixed[0:1:1]
	if _, ok := h["Content-Security-Policy"]; !ok && resp.StatusCode != http.StatusNotModified && !isMedia(h["Content-Type"]) {
		// Otherwise a page or an image from upstream could run its scripts in the name of this domain. A 304 has no type, and
		// its fields update those that the browser has stored (RFC 9111 section 3.2).
		h["Content-Security-Policy"] = v.fixed[1:2:2]
	}
}

// hideKeys removes what caches upstream say about their keys, which are URLs, and about details (RFC 9211 sections 2.7 and
// 2.8).
func hideKeys(h http.Header) {
	lines := h["Cache-Status"]
	if slices.ContainsFunc(lines, showsKey) {
		h["Cache-Status"] = slices.DeleteFunc(slices.Clone(lines), showsKey)
	}
}

func showsKey(status string) bool {
	return strings.Contains(status, "key=") || strings.Contains(status, "://")
}

func dropConnection(h http.Header) {
	named := hop.Named(h)
	for name := range h {
		if isOfConnection(name, named) {
			delete(h, name)
		}
	}
}

func copyHeader(h, from http.Header) {
	named := hop.Named(from)
	for name, values := range from {
		if isOfConnection(name, named) {
			continue
		}
		if name == "Vary" {
			values = slices.Concat(h[name], values) // keep an outer handler's Vary as well
		}
		h[name] = values
	}
}

// isOfConnection reports whether a field concerns the connection to upstream. named are those that its Connection field lists.
func isOfConnection(name string, named []string) bool {
	return name != "Content-Length" && (isHopByHop(name) || slices.Contains(named, name))
}

func hasBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// isMedia reports whether no browser treats a Content-Type as a document: one line with one type, because a browser takes the
// last of several (Fetch, "extract a MIME type"), and not one that ends in +xml, which is always a document (MIME Sniffing,
// "XML MIME type").
func isMedia(contentType []string) bool {
	t, _ := soleType(contentType)
	kind, sub, _ := strings.Cut(t, "/")
	switch kind {
	case "video", "audio":
		return sub != "" && !strings.HasSuffix(sub, "xml") && !strings.ContainsFunc(sub, isOddInSubtype)
	case "application":
		return sub == "vnd.apple.mpegurl"
	}
	return false
}

// soleType is the type of a Content-Type. It returns false if there is none, or more than one.
func soleType(contentType []string) (t string, ok bool) {
	if len(contentType) != 1 || strings.ContainsAny(contentType[0], ",\r\n") {
		return "", false
	}
	return hls.Essence(contentType[0]), true
}

func isOddInSubtype(c rune) bool {
	return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_'
}

var errPartial = &statusError{status: http.StatusBadGateway, text: "upstream sent other bytes than it was asked for"}

// checkPartial refuses a 206 with other bytes than requested (RFC 9110 section 15.3.7): a player would use them as the right
// ones. A 206 with the whole body becomes a 200. If the length is not declared, the bytes are counted.
func (f *fetch) checkPartial(resp *http.Response) error {
	httprange.Mend(resp)
	if resp.StatusCode == http.StatusOK {
		delete(resp.Header, "Content-Range") // some servers send it with every answer
	}
	if resp.StatusCode != http.StatusPartialContent {
		return nil
	}
	c, ok := httprange.ParseContentRange(resp.Header)
	field, _ := httprange.Asked(f.sent)
	spec, asked := httprange.ParseOne(field)
	known := resp.ContentLength >= 0
	if ok && asked && c.Answers(spec) && (!known || resp.ContentLength == c.Length()) {
		if !known {
			resp.Body = httprange.Exact(resp.Body, c.Length())
		}
		return nil
	}
	if httprange.MakeWhole(resp) {
		return nil
	}
	return errPartial
}

// insteadOfHead answers a HEAD that upstream refuses with a GET for one byte: players that begin with a HEAD would give up
// otherwise.
func (f *fetch) insteadOfHead(refused *http.Response) (*http.Response, error) {
	if f.viewer.Method != http.MethodHead || f.sent.Method != http.MethodHead || !refusesHead(refused.StatusCode) {
		return refused, nil
	}
	drop(refused)
	f.one = true
	resp, err := f.follow(&f.url)
	if err != nil {
		return nil, err
	}
	if resp = headOf(resp); resp.StatusCode != http.StatusOK {
		f.one = false
		refused.Body = http.NoBody
		return refused, nil
	}
	switch refused.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusInternalServerError:
		// says more about this URL, or this moment, than about the host
	default:
		f.proxy.headless.add(f.url.Host)
	}
	return resp, nil
}

// refusesHead reports whether a status may come from a server that only knows GET. Answers to a condition or a range, and
// requests for patience, are not among them.
func refusesHead(status int) bool {
	switch status {
	case http.StatusNoContent, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusLengthRequired,
		http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusInternalServerError, http.StatusNotImplemented:
		return true
	}
	return false
}

// headOf turns the answer to a GET for the first byte into the answer to a HEAD.
func headOf(resp *http.Response) *http.Response {
	c, ok := httprange.ParseContentRange(resp.Header)
	empty := slices.Equal(resp.Header["Content-Range"], []string{httprange.Unsatisfied(0)})
	length := int64(httprange.Unknown)
	switch {
	case resp.StatusCode == http.StatusOK:
		length = resp.ContentLength
	case resp.StatusCode == http.StatusPartialContent:
		if ok {
			length = c.Size
		}
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && empty:
		length = 0
	default:
		drop(resp)
		return resp
	}
	drop(resp)
	resp.StatusCode, resp.Status, resp.ContentLength, resp.Body = http.StatusOK, "200 OK", length, http.NoBody
	delete(resp.Header, "Content-Range")
	delete(resp.Header, "Content-Length")
	if length >= 0 {
		resp.Header.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	return resp
}

// recently remembers hosts for a while.
type recently struct {
	mu    sync.Mutex
	hosts map[string]time.Time
}

const (
	maxRecent = 1024
	recentFor = 10 * time.Minute
)

func (r *recently) add(host string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hosts == nil || len(r.hosts) >= maxRecent {
		r.hosts = map[string]time.Time{}
	}
	r.hosts[strings.Clone(host)] = time.Now() // it may lie in the text of a long URL
}

func (r *recently) has(host string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.hosts[host]
	return ok && time.Since(at) < recentFor
}

// mendCoding removes content codings that are invalid, or that the body does not have: players look at the bytes (RFC 9110
// section 8.4; origins send aws-chunked, utf-8, binary and worse). Codings that may be right stay.
func mendCoding(resp *http.Response) error {
	if len(resp.Header["Content-Encoding"]) == 0 {
		return nil
	}
	codings := coding.List(resp.Header)
	if len(codings) > 0 && resp.Request.Method != http.MethodHead && hasBody(resp.StatusCode) && resp.StatusCode != http.StatusPartialContent {
		first, err := peek(resp)
		if err != nil && err != io.EOF {
			return err
		}
		codings = applied(codings, first, coding.Most)
	}
	coding.Set(resp.Header, codings)
	return nil
}

// mendType gives media a type of media where an origin labels it as a document or as plain text. Every answer has nosniff, and
// with it a browser withholds such a body from a video element on a page of another site (Fetch, "opaque-response blocking").
// The first bytes decide. In the middle of a body, or in a coded body, the name decides.
func mendType(resp *http.Response) error {
	if !isWithheld(resp.Header["Content-Type"]) {
		return nil
	}
	kind, mediaType := hls.ByName(resp.Request.URL.Path), hls.TypeByName(resp.Request.URL.Path)
	if startsHere(resp) {
		first, err := peek(resp)
		if err != nil && err != io.EOF {
			return err
		}
		if k := hls.Sniff(first, false); len(first) >= 16 && k != hls.Unknown { // fewer bytes can be the start of anything
			kind, mediaType = k, hls.TypeOf(first)
		}
	}
	if kind == hls.Video || kind == hls.Audio {
		resp.Header["Content-Type"] = []string{mediaType}
	}
	return nil
}

// isWithheld reports whether a browser may withhold a body with this Content-Type and nosniff from a video element. It takes
// the last of several types.
func isWithheld(contentType []string) bool {
	t, ok := soleType(contentType)
	if !ok {
		return len(contentType) > 0
	}
	return hls.ByType(t).IsDocument() || t == "text/plain"
}

// startsHere reports whether an answer has a body that begins with the first byte of the file, and has no coding.
func startsHere(resp *http.Response) bool {
	if resp.Request.Method == http.MethodHead || len(resp.Header["Content-Encoding"]) > 0 || !hasBody(resp.StatusCode) {
		return false
	}
	c, ok := httprange.ParseContentRange(resp.Header)
	return resp.StatusCode != http.StatusPartialContent || ok && c.First == 0
}

// peeked is how many bytes are enough to recognise a body.
const peeked = 1024

// peek reads the available beginning of a body, and puts it back.
func peek(resp *http.Response) ([]byte, error) {
	first := make([]byte, peeked)
	n, err := 0, error(nil)
	for n < 2 && err == nil {
		var m int
		m, err = resp.Body.Read(first[n:])
		n += m
	}
	first = first[:n]
	rest := io.Reader(resp.Body)
	if err != nil {
		rest = broken{err}
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(first), rest), resp.Body}
	if n > 0 {
		err = nil
	}
	return first, err
}

// broken is a body that ends with err.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// applied are the codings that a body with this beginning can have, the outermost last. It looks into so many of them.
func applied(codings []string, first []byte, most int) []string {
	n := len(codings) - 1
	if n < 0 {
		return nil
	}
	isGzip := codings[n] == "gzip"
	switch {
	case isGzip && !bytes.HasPrefix(first, []byte{0x1f, 0x8b}),
		codings[n] == "zstd" && !bytes.HasPrefix(first, []byte{0x28, 0xb5, 0x2f, 0xfd}),
		isKnown(first):
		return applied(codings[:n], first, most)
	case isGzip && n > 0 && most > 0:
		return append(applied(codings[:n], inflated(first), most-1), codings[n])
	}
	return codings
}

// isKnown reports whether bytes are media or text without any coding. Two or three bytes are not enough to tell.
func isKnown(first []byte) bool {
	k := hls.Sniff(first, false)
	return k == hls.Playlist || k.IsMedia() && k != hls.Audio || k.IsDocument() || k == hls.List
}

// inflated is the beginning of a body after gzip is removed.
func inflated(first []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(first))
	if err != nil {
		return nil
	}
	out := make([]byte, peeked)
	n, _ := io.ReadFull(r, out)
	return out[:n]
}
