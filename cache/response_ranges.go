package cache

import (
	"math"
	"net/http"

	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// wanted returns the range that r asks for. ok is false if the whole is the answer: there is no Range, or it covers everything,
// is malformed, has another unit, or has several ranges (a handler in front may cut those), or If-Range does not hold (RFC 9110
// sections 13.1.5 and 14.2).
func wanted(r *http.Request, h http.Header) (s httprange.Spec, ok bool) {
	field, ok := httprange.Asked(r)
	if !ok || h["Content-Range"] != nil {
		return s, false
	}
	s, ok = httprange.ParseOne(field)
	return s, ok && s != httprange.Spec{First: 0, Last: -1} && httprange.IfRange(r.Header, h)
}

// within applies a range to a body of this length. -1: the length is not known.
func within(s httprange.Spec, length int64) (off, end int64, status int) {
	switch {
	case length >= 0:
		part, err := s.In(length)
		switch err {
		case nil:
			return part.Start, part.End(), http.StatusPartialContent
		case httprange.ErrUnsatisfiable:
			return 0, 0, http.StatusRequestedRangeNotSatisfiable
		}
		return 0, length, http.StatusOK
	case follows(s):
		return s.First, math.MaxInt64, http.StatusPartialContent
	}
	return 0, math.MaxInt64, http.StatusOK
}

// follows reports whether a range follows a growing body to its end (RFC 8673).
func follows(s httprange.Spec) bool { return s.First >= 0 && s.Last >= httprange.VeryLast }
