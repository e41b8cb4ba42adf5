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
		return name == "Set-Cookie" || strings.HasPrefix(name, "Access-Control-")
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
func announce(w http.ResponseWriter, resp *http.Response) {
	h := w.Header()
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
	h["X-Content-Type-Options"] = nosniff
	if _, ok := h["Content-Security-Policy"]; !ok && resp.StatusCode != http.StatusNotModified && !isMedia(h["Content-Type"]) {
		// A page or an image that upstream sends would otherwise run its scripts in the name of this domain. A 304 names no
		// type, and its fields become those of what the browser has (RFC 9111 section 3.2).
		h["Content-Security-Policy"] = sandbox
	}
}

func hasBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

func isMedia(contentType []string) bool {
	if len(contentType) == 0 {
		return false
	}
	t := strings.ToLower(contentType[0])
	return strings.HasPrefix(t, "video/") || strings.HasPrefix(t, "audio/") || strings.HasPrefix(t, "application/vnd.apple.mpegurl")
}
