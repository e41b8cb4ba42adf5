package cache

import (
	"context"
	"errors"
	"math"
	"net/http"

	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// wanted returns the range that r asks for. It is not ok when the whole is the answer: no Range, the whole as a range, one
// that is malformed or of another unit, several at once (a handler in front may cut those), or an If-Range that does not
// hold (RFC 9110 sections 13.1.5 and 14.2).
func wanted(r *http.Request, h http.Header) (s httprange.Spec, ok bool) {
	field, ok := httprange.Asked(r)
	if !ok || h["Content-Range"] != nil {
		return s, false
	}
	s, ok = httprange.ParseOne(field)
	return s, ok && s != httprange.Spec{First: 0, Last: -1} && httprange.IfRange(r.Header, h)
}

// within applies a range to a body of the given length, -1 for one that is not known but holds the range.
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
	case s.First < 0 || s.Last < 0:
		return 0, math.MaxInt64, http.StatusOK
	case s.Bounded():
		return s.First, s.Last + 1, http.StatusPartialContent
	}
	return s.First, math.MaxInt64, http.StatusPartialContent
}

var errOutgrown = errors.New("cache: too long to wait for its end")

// learn waits until a body of undeclared length holds the range asked for, or has come to its end, and returns the
// length if it is known by then. A range without an end, but for that of RFC 8673, has to be answered with the whole. It
// fails with errOutgrown for a body that has proved too long to wait for.
func (f *fill) learn(ctx context.Context, s httprange.Spec) (int64, error) {
	need := s.Last
	switch {
	case s.First < 0 || s.Last < 0:
		need = -1
	case !s.Bounded():
		need = s.First
	}
	for {
		st := f.body.State()
		switch {
		case st.Err != nil:
			return 0, st.Err
		case st.Ended:
			return st.Size, nil
		case need < st.Size:
			return -1, nil
		}
		more := f.body.Grown(st.Size)
		if more == nil {
			continue
		}
		if f.isDetached() {
			return 0, errOutgrown
		}
		select {
		case <-more:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}
