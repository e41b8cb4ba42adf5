package rangeserve

import (
	"errors"
	"net/http"
	"time"
)

// decide says how a request is answered whose whole answer would be a 200 with the header h and a body of size bytes:
// the status, and for a 206 the ranges, in dst. The order is that of RFC 9110 section 13.2.2.
func decide(dst []Range, r *http.Request, h http.Header, size int64) (int, []Range) {
	if status := precondition(r, h); status != http.StatusOK {
		return status, nil
	}
	field, ok := rangeField(r)
	if !ok || !rangeAllowed(r, h) {
		return http.StatusOK, nil
	}
	ranges, err := appendRanges(dst, field, size)
	switch {
	case err == nil:
		return http.StatusPartialContent, ranges
	case errors.Is(err, ErrUnsatisfiable):
		return http.StatusRequestedRangeNotSatisfiable, nil
	default:
		return http.StatusOK, nil
	}
}

// rangeField is the Range of a request, where it has exactly one and the method is one for which ranges are defined
// (RFC 9110 section 14.2).
func rangeField(r *http.Request) (string, bool) {
	lines := r.Header["Range"]
	if r.Method != http.MethodGet || len(lines) != 1 {
		return "", false
	}
	return lines[0], true
}

// conditional reports whether a request carries a precondition.
func conditional(r *http.Request) bool {
	h := r.Header
	return len(h["If-Match"]) > 0 || len(h["If-None-Match"]) > 0 || len(h["If-Modified-Since"]) > 0 ||
		len(h["If-Unmodified-Since"]) > 0
}

// precondition is 200 where a request may go on, else the status that ends it.
func precondition(r *http.Request, h http.Header) int {
	if !conditional(r) {
		return http.StatusOK
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	tag := field(h, "Etag")
	if lines := r.Header["If-Match"]; len(lines) > 0 {
		if !listed(lines, tag, sameStrong) {
			return http.StatusPreconditionFailed
		}
	} else if after, known := modifiedAfter(r.Header["If-Unmodified-Since"], h); known && after {
		return http.StatusPreconditionFailed
	}
	if lines := r.Header["If-None-Match"]; len(lines) > 0 {
		if !listed(lines, tag, sameWeak) {
			return http.StatusOK
		}
		if !reads {
			return http.StatusPreconditionFailed
		}
		return http.StatusNotModified
	}
	if after, known := modifiedAfter(r.Header["If-Modified-Since"], h); reads && known && !after {
		return http.StatusNotModified
	}
	return http.StatusOK
}

// modifiedAfter compares Last-Modified with the one date in lines. It is not known without both.
func modifiedAfter(lines []string, h http.Header) (after, known bool) {
	if len(lines) != 1 {
		return false, false
	}
	since, err := http.ParseTime(lines[0])
	if err != nil {
		return false, false
	}
	modified, ok := lastModified(h)
	return modified.After(since), ok
}

func lastModified(h http.Header) (time.Time, bool) {
	t, err := http.ParseTime(field(h, "Last-Modified"))
	return t, err == nil
}

// rangeAllowed evaluates If-Range (RFC 9110 section 13.1.5): a weak tag and another date than the exact one never match,
// nor does a date that is less than a second old, since within that second there may be two versions (section 8.8.2.2).
func rangeAllowed(r *http.Request, h http.Header) bool {
	lines := r.Header["If-Range"]
	if len(lines) == 0 {
		return true
	}
	if len(lines) > 1 {
		return false
	}
	value := trimOWS(lines[0])
	if validETag(value) {
		return sameStrong(value, field(h, "Etag"))
	}
	date, err := http.ParseTime(value)
	modified, ok := lastModified(h)
	return err == nil && ok && date.Equal(modified) && time.Since(modified) >= time.Second
}

// field is the first value of a header field, by its canonical name.
func field(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}
