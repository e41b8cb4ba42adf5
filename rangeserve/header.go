package rangeserve

import (
	"net/http"
	"strconv"

	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// setWhole completes the header of a whole 200.
func setWhole(h http.Header, size int64, playlist bool) {
	set(h, "Content-Length", strconv.FormatInt(size, 10))
	advertise(h, playlist)
}

// advertise says that ranges are served, unless the body is a playlist or the header already says something.
func advertise(h http.Header, playlist bool) {
	if _, said := h["Accept-Ranges"]; !said && !playlist {
		set(h, "Accept-Ranges", "bytes")
	}
}

// setPartial turns the header of a whole 200 into that of a 206. Fields that describe the whole representation, and those for
// caches, stay (RFC 9110 section 15.3.7). Digests of the whole content are removed, because they would be wrong.
func setPartial(h http.Header, p *parts) {
	advertise(h, false)
	delete(h, "Content-Md5")
	delete(h, "Content-Digest")
	if p.boundary == "" {
		set(h, "Content-Range", p.ranges[0].Of(p.size).String())
	} else {
		set(h, "Content-Type", "multipart/byteranges; boundary="+p.boundary)
	}
	set(h, "Content-Length", strconv.FormatInt(p.length(), 10))
}

// setNotModified leaves the fields that RFC 9110 section 15.4.5 demands.
func setNotModified(h http.Header) {
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding", "Content-Disposition", "Accept-Ranges"} {
		delete(h, name)
	}
	if field(h, "Etag") != "" {
		delete(h, "Last-Modified")
	}
}

// setRefused removes everything about the representation that is not sent, so that no cache keeps the refusal in its place.
func setRefused(h http.Header, status int, size int64) {
	for _, name := range []string{
		"Cache-Control", "Cdn-Cache-Control", "Surrogate-Control", "Expires", "Etag", "Last-Modified", "Content-Type", "Content-Encoding",
		"Content-Disposition", "Content-Md5", "Content-Digest", "Repr-Digest", "Age",
	} {
		delete(h, name)
	}
	set(h, "Content-Length", "0")
	if status == http.StatusRequestedRangeNotSatisfiable {
		advertise(h, false)
		set(h, "Content-Range", httprange.Unsatisfied(size))
	}
}

// set assumes a canonical name.
func set(h http.Header, name, value string) { h[name] = []string{value} }

// field is the first value of a header field, by its canonical name.
func field(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}
