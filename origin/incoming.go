package origin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// isPassed reports the headers of an answer that reach the viewer. It is a list of what is wanted, since the other list,
// of what a server could do to the domain that this answer comes from, never ends: Set-Cookie, Location, Refresh, Link,
// CORS and its kin, Alt-Svc, HSTS, Clear-Site-Data, Service-Worker-Allowed, reporting, authentication prompts.
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

// exposable is what may reach the viewer of a caller's list of names.
func exposable(names []string) []string {
	return slices.DeleteFunc(passable(names), func(name string) bool {
		return name == "Set-Cookie" || name == "Content-Security-Policy" || strings.HasPrefix(name, "Access-Control-")
	})
}

// clean takes everything out of an upstream header that is not passed on, neither always nor because more names it.
func clean(h http.Header, more []string) {
	named := connectionNamed(h)
	for name := range h {
		if !isPassed(name) && !slices.Contains(more, name) || slices.Contains(named, name) {
			delete(h, name)
		}
	}
}

// announce copies the header of the answer to w. What a hook added is there, too; fields of the connection never are.
func (v *viewer) announce() {
	h, resp := v.Header(), v.resp
	named := connectionNamed(resp.Header)
	for name, values := range resp.Header {
		if name != "Content-Length" && (isHopByHop(name) || slices.Contains(named, name)) {
			continue
		}
		if name == "Vary" {
			values = append(h[name], values...) // an outer handler's reasons to vary are as good
		}
		h[name] = values
	}
	if len(h["Content-Length"]) == 0 && (resp.ContentLength > 0 || resp.ContentLength == 0 && resp.Body == http.NoBody) {
		h["Content-Length"] = []string{strconv.FormatInt(resp.ContentLength, 10)}
	}
	if !hasBody(resp.StatusCode) && resp.StatusCode != http.StatusNotModified {
		delete(h, "Content-Length")
	}
	// The values are of this answer alone: one that an outer handler changes in place changes no other.
	v.fixed = [...]string{"nosniff", "sandbox; default-src 'none'"}
	h["X-Content-Type-Options"] = v.fixed[0:1:1]
	if _, ok := h["Content-Security-Policy"]; !ok && resp.StatusCode != http.StatusNotModified && !isMedia(h["Content-Type"]) {
		// A page or an image that upstream sends would otherwise run its scripts in the name of this domain. A 304 names no
		// type, and its fields become those of what the browser has (RFC 9111 section 3.2).
		h["Content-Security-Policy"] = v.fixed[1:2:2]
	}
}

func hasBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// isMedia reports a Content-Type that no browser takes for that of a document: one line with one type, as of several a
// browser takes the last (Fetch, "extract a MIME type"), and none that ends in +xml, as that is a document whatever
// it begins with (MIME Sniffing, "XML MIME type").
func isMedia(contentType []string) bool {
	if len(contentType) != 1 || strings.ContainsAny(contentType[0], ",\r\n") {
		return false
	}
	t, _, _ := strings.Cut(contentType[0], ";")
	kind, sub, _ := strings.Cut(strings.ToLower(strings.Trim(t, " \t")), "/")
	switch kind {
	case "video", "audio":
		return sub != "" && !strings.HasSuffix(sub, "xml") && !strings.ContainsFunc(sub, isOddInSubtype)
	case "application":
		return sub == "vnd.apple.mpegurl"
	}
	return false
}

func isOddInSubtype(c rune) bool {
	return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_'
}
