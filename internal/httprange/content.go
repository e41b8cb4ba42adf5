package httprange

import (
	"math"
	"net/http"
	"strconv"
	"strings"
)

// Unknown is the size of a body whose length nobody has announced.
const Unknown = -1

// ContentRange is a Content-Range field that goes with a part: the positions of its first and last byte, and the size
// of the whole, which may be Unknown (RFC 9110 section 14.4).
type ContentRange struct{ First, Last, Size int64 }

// Length is how many bytes the part has.
func (c ContentRange) Length() int64 { return c.Last - c.First + 1 }

// Range is the part as a Range.
func (c ContentRange) Range() Range { return Range{Start: c.First, Length: c.Length()} }

// Of is the Content-Range of a part of a body of size bytes, or of Unknown size.
func (r Range) Of(size int64) ContentRange {
	return ContentRange{First: r.Start, Last: r.End() - 1, Size: size}
}

// ParseContentRange reads the one Content-Range field of a header. It is not ok for a header without one or with
// several, for another unit than bytes, for positions that contradict each other or the size, for numbers beyond int64,
// and for "bytes */size", which names no part.
func ParseContentRange(h http.Header) (c ContentRange, ok bool) {
	const unit = "bytes "
	lines := h["Content-Range"]
	if len(lines) != 1 || len(lines[0]) < len(unit) || !strings.EqualFold(lines[0][:len(unit)], unit) {
		return ContentRange{}, false
	}
	first, rest := cutDigits(trimOWS(lines[0][len(unit):]))
	last, rest := cutDigits(strings.TrimPrefix(rest, "-"))
	size, found := strings.CutPrefix(rest, "/")
	c = ContentRange{First: position(first), Last: position(last), Size: Unknown}
	if size != "*" {
		digits, more := cutDigits(size)
		c.Size = position(digits)
		found = found && more == "" && c.Size >= 0
	}
	ok = found && len(first) > 0 && len(last) > 0 && c.First >= 0 && c.First <= c.Last && (size == "*" || c.Last < c.Size)
	if !ok {
		return ContentRange{}, false
	}
	return c, true
}

// position is the value of digits that fit, else -1.
func position(digits string) int64 {
	n := number(digits)
	if digits == "" || n == math.MaxInt64 {
		return -1
	}
	return n
}

// Append appends the field to dst.
func (c ContentRange) Append(dst []byte) []byte {
	dst = append(dst, "bytes "...)
	dst = strconv.AppendInt(dst, c.First, 10)
	dst = append(dst, '-')
	dst = strconv.AppendInt(dst, c.Last, 10)
	dst = append(dst, '/')
	if c.Size < 0 {
		return append(dst, '*')
	}
	return strconv.AppendInt(dst, c.Size, 10)
}

// String is the field.
func (c ContentRange) String() string { return string(c.Append(make([]byte, 0, 64))) }

// Unsatisfied is the Content-Range of a 416 for a body of size bytes (RFC 9110 section 15.5.17).
func Unsatisfied(size int64) string { return "bytes */" + strconv.FormatInt(size, 10) }

// ContentLength is the Content-Length of a header, or Unknown where there is none, more than one, or one that is no
// number.
func ContentLength(h http.Header) int64 {
	lines := h["Content-Length"]
	if len(lines) != 1 {
		return Unknown
	}
	digits, rest := cutDigits(lines[0])
	if rest != "" {
		return Unknown
	}
	return position(digits)
}
