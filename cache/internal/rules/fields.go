// Package rules holds the rules of RFC 9111 and related RFCs for a shared cache, as far as they depend on headers. All
// functions are pure: they read headers and times, and change nothing.
package rules

import (
	"maps"
	"net/http"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/hop"
	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// Storable copies the fields of an answer that may be stored (RFC 9111 section 3.1).
func Storable(h http.Header) http.Header {
	out := h.Clone()
	for _, name := range hop.Named(h) {
		delete(out, name)
	}
	maps.DeleteFunc(out, func(name string, _ []string) bool { return hop.Is(name) })
	delete(out, "Age")
	delete(out, ExactAge)
	delete(out, Restarted)
	return out
}

// Strong is the validator that safely tells two versions of a body apart: an ETag that is not weak or, if there is none, a
// Last-Modified that is older than the answer by the origin's own clock (RFC 9110 section 8.8.2.2). Its name is "" if there is
// none.
func Strong(h http.Header) (name, value string) {
	if tags := h["Etag"]; len(tags) > 0 {
		if len(tags) == 1 && httprange.StrongETag(tags[0]) {
			return "Etag", tags[0]
		}
		return "", ""
	}
	at, ok := httprange.DateOf(h, "Last-Modified")
	if _, dated := httprange.DateOf(h, "Date"); ok && dated && httprange.StrongDate(at, h) {
		return "Last-Modified", h["Last-Modified"][0]
	}
	return "", ""
}

// Conditional adds the conditions that ask whether an answer with the header h is still valid (RFC 9111 section 4.3.1). It
// reports whether h has a validator.
func Conditional(question, h http.Header) bool {
	tag, modified := h.Get("Etag"), h.Get("Last-Modified")
	if tag != "" {
		question["If-None-Match"] = []string{tag}
	}
	if modified != "" {
		question["If-Modified-Since"] = []string{modified}
	}
	return tag != "" || modified != ""
}

// Confirms reports whether a 304 is about the answer with the header h (section 4.3.4).
func Confirms(h304, h http.Header) bool {
	tag := h304.Get("Etag")
	return tag == "" || httprange.SameWeak(tag, h.Get("Etag"))
}

// Updated is the header of a stored answer, updated with the fields of the 304 that confirmed it (section 3.2).
func Updated(h, h304 http.Header) http.Header {
	out := h.Clone()
	for name, values := range Storable(h304) {
		switch name {
		case "Content-Length", "Content-Encoding", "Content-Range", "Content-Md5", "Content-Digest", "Repr-Digest", "Digest":
			continue // they describe the stored body
		case "Etag":
			continue // with a strong name in place of a weak one, a range could join two versions
		case "Content-Type":
			// Some frameworks put text/html on every answer without a body.
			if hls.Essence(h304.Get("Content-Type")) != hls.Essence(h.Get("Content-Type")) {
				continue
			}
		}
		out[name] = values
	}
	return out
}
