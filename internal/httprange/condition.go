package httprange

import (
	"errors"
	"net/http"
	"time"
)

// Decide says how a request is answered if the whole answer would be a 200 with the header h and a body of size bytes. It
// returns the status and, for a 206, the ranges, appended to dst, which must be empty. The order is that of RFC 9110 section
// 13.2.2: preconditions, then If-Range, then Range.
func Decide(dst []Range, r *http.Request, h http.Header, size int64) (status int, ranges []Range) {
	if status := Precondition(r, h); status != http.StatusOK {
		return status, nil
	}
	field, ok := Asked(r)
	if !ok || !IfRange(r.Header, h) {
		return http.StatusOK, nil
	}
	ranges, err := Append(dst, field, size)
	switch {
	case err == nil:
		return http.StatusPartialContent, ranges
	case errors.Is(err, ErrUnsatisfiable):
		return http.StatusRequestedRangeNotSatisfiable, nil
	default:
		return http.StatusOK, nil
	}
}

// Conditional reports whether the header of a request has a precondition. If-Range is not one: it only guards Range.
func Conditional(h http.Header) bool {
	return len(h["If-Match"]) > 0 || len(h["If-None-Match"]) > 0 || len(h["If-Modified-Since"]) > 0 ||
		len(h["If-Unmodified-Since"]) > 0
}

// Precondition evaluates the conditions of a request against the header h of the 200 that would answer it. It returns 200 if
// the request may go on, else 304 or 412 (RFC 9110 section 13.2.2).
//
// A validator that has several lines, or is malformed, is ignored. If h has no Last-Modified, If-Modified-Since is compared
// with its Date, if it has one (RFC 9111 section 4.3.2).
func Precondition(r *http.Request, h http.Header) int {
	if !Conditional(r.Header) {
		return http.StatusOK
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == ""
	tag := only(h, "Etag")
	if lines := r.Header["If-Match"]; len(lines) > 0 {
		if !Lists(lines, tag, SameStrong) {
			return http.StatusPreconditionFailed
		}
	} else if since, ok := DateOf(r.Header, "If-Unmodified-Since"); ok {
		if modified, known := DateOf(h, "Last-Modified"); known && modified.After(since) {
			return http.StatusPreconditionFailed
		}
	}
	if lines := r.Header["If-None-Match"]; len(lines) > 0 {
		switch {
		case !Lists(lines, tag, SameWeak):
			return http.StatusOK
		case !reads:
			return http.StatusPreconditionFailed
		}
		return http.StatusNotModified
	}
	if since, ok := DateOf(r.Header, "If-Modified-Since"); ok && reads {
		modified, known := DateOf(h, "Last-Modified")
		if len(h["Last-Modified"]) == 0 {
			modified, known = DateOf(h, "Date")
		}
		if known && !modified.After(since) {
			return http.StatusNotModified
		}
	}
	return http.StatusOK
}

// IfRange reports whether the Range of a request applies to a 200 with the header h: there is no If-Range, or it matches (RFC
// 9110 section 13.1.5). A weak tag never matches, nor does a date other than the exact one, nor one less than a second before h
// was made, because there may have been two versions within that second (section 8.8.2.2).
func IfRange(request, h http.Header) bool {
	lines := request["If-Range"]
	if len(lines) == 0 {
		return true
	}
	if len(lines) > 1 {
		return false
	}
	value := trimOWS(lines[0])
	if ValidETag(value) {
		return SameStrong(value, only(h, "Etag"))
	}
	date, ok := ParseDate(value)
	modified, known := DateOf(h, "Last-Modified")
	return ok && known && date.Equal(modified) && StrongDate(modified, h)
}

// StrongDate reports whether the Last-Modified of a header is a strong validator: its Date, or now if it has none, is at least
// a second later (RFC 9110 section 8.8.2.2).
func StrongDate(modified time.Time, h http.Header) bool {
	made, ok := DateOf(h, "Date")
	if !ok {
		made = time.Now()
	}
	return made.Sub(modified) >= time.Second
}

// only is the value of a field that has exactly one line, by its canonical name.
func only(h http.Header, name string) string {
	if lines := h[name]; len(lines) == 1 {
		return lines[0]
	}
	return ""
}
