package cache

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strings"
)

// veryLast is the last position that RFC 8673 section 2.2 lets a client name when it means "as far as it goes".
const veryLast = 1<<53 - 1

// span is one byte range as it was asked for: first-last, first- (last is -1), or -last (first is -1).
type span struct{ first, last int64 }

// wanted returns the range that r asks for. It is not ok when the whole is the answer: no Range, the whole as a range, one
// that is malformed or of another unit, several at once (whoever stands in front may cut those), or an If-Range that does
// not hold (RFC 9110 sections 13.1.5 and 14.2).
func wanted(r *http.Request, h http.Header) (span, bool) {
	lines := r.Header["Range"]
	if r.Method == http.MethodHead || len(lines) != 1 || h["Content-Range"] != nil {
		return span{}, false
	}
	s, ok := parseRange(lines[0])
	if !ok || s == (span{0, -1}) || !ifRange(r.Header, h) {
		return span{}, false
	}
	return s, true
}

func parseRange(field string) (s span, ok bool) {
	unit, set, found := strings.Cut(field, "=")
	if !found || !strings.EqualFold(unit, "bytes") {
		return span{}, false
	}
	for member := range strings.SplitSeq(set, ",") {
		member = strings.Trim(member, " \t")
		if member == "" {
			continue
		}
		if ok {
			return span{}, false
		}
		if s, ok = parseSpan(member); !ok {
			return span{}, false
		}
	}
	return s, ok
}

func parseSpan(member string) (span, bool) {
	a, b, found := strings.Cut(member, "-")
	if !found || a == "" && b == "" {
		return span{}, false
	}
	s := span{-1, -1}
	var okA, okB = true, true
	if a != "" {
		s.first, okA = position(a)
	}
	if b != "" {
		s.last, okB = position(b)
	}
	return s, okA && okB && !(a != "" && b != "" && s.last < s.first)
}

// beyondAll stands for every number that is too large for a file.
const beyondAll = math.MaxInt64 / 2

// position reads digits.
func position(digits string) (int64, bool) {
	var n int64
	for i := range len(digits) {
		c := digits[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + int64(c-'0'); n > beyondAll/20 {
			n = beyondAll / 20
		}
	}
	return n, true
}

// in applies the range to a body of the given length, -1 for one that is not known but holds the range.
func (s span) in(length int64) (off, end int64, status int) {
	if length < 0 {
		if s.first < 0 || s.last < 0 {
			return 0, math.MaxInt64, http.StatusOK
		}
		if s.last >= veryLast {
			return s.first, math.MaxInt64, http.StatusPartialContent
		}
		return s.first, s.last + 1, http.StatusPartialContent
	}
	switch {
	case length == 0:
		return 0, 0, http.StatusOK
	case s.first < 0 && s.last == 0, s.first >= length:
		return 0, 0, http.StatusRequestedRangeNotSatisfiable
	case s.first < 0:
		return max(length-s.last, 0), length, http.StatusPartialContent
	case s.last < 0 || s.last >= length:
		return s.first, length, http.StatusPartialContent
	}
	return s.first, s.last + 1, http.StatusPartialContent
}

var errOutgrown = errors.New("cache: too long to wait for its end")

// learn waits until a body of undeclared length holds the range asked for, or has come to its end, and returns the
// length if it is known by then. A range without an end, but for that of RFC 8673, has to be answered with the whole. It
// fails with errOutgrown for a body that has proved too long to wait for.
func (f *fill) learn(ctx context.Context, s span) (int64, error) {
	need := s.last
	switch {
	case s.first < 0 || s.last < 0:
		need = -1
	case s.last >= veryLast:
		need = s.first
	}
	for {
		st := f.body.state()
		switch {
		case st.err != nil:
			return 0, st.err
		case st.ended:
			return st.size, nil
		case need < st.size:
			return -1, nil
		}
		more := f.body.grown(st.size)
		if more == nil {
			continue
		}
		if f.isClosed() {
			return 0, errOutgrown
		}
		select {
		case <-more:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}
