package httprange

import (
	"math"
	"net/http"
	"strconv"
	"strings"
)

// Unknown is the size of a body of undeclared length.
const Unknown = -1

// ContentRange is the Content-Range field of a part: the positions of its first and last byte, and the size of the whole, which
// may be Unknown (RFC 9110 section 14.4).
type ContentRange struct{ First, Last, Size int64 }

// Length is how many bytes the part has.
func (c ContentRange) Length() int64 { return c.Last - c.First + 1 }

// Answers reports whether the part is what s asks for, or less of it.
func (c ContentRange) Answers(s Spec) bool {
	if s.First < 0 {
		return c.Size < 0 || c.Last == c.Size-1 && c.First == max(0, c.Size-s.Last)
	}
	return c.First == s.First && (s.Last < 0 || c.Last <= s.Last)
}

// Range is the part as a Range.
func (c ContentRange) Range() Range { return Range{Start: c.First, Length: c.Length()} }

// Of is the Content-Range of a part of a body of size bytes, or of Unknown size.
func (r Range) Of(size int64) ContentRange {
	return ContentRange{First: r.Start, Last: r.End() - 1, Size: size}
}

// ParseContentRange reads the Content-Range field of a header, also in the misspellings of servers: "bytes=0-9/10", "0-9/10",
// without a size, with blanks, or the same twice. ok is false if there is no such field, for another unit than bytes, for
// positions that contradict each other or the size, for numbers beyond int64, and for "bytes */size", which names no part.
func ParseContentRange(h http.Header) (c ContentRange, ok bool) {
	lines := h["Content-Range"]
	if len(lines) == 0 || len(lines) > 1 && !allEqual(lines) {
		return ContentRange{}, false
	}
	first, rest := cutDigits(afterUnit(lines[0]))
	rest, dashed := strings.CutPrefix(trimOWS(rest), "-")
	last, rest := cutDigits(trimOWS(rest))
	size, known := sizeOf(trimOWS(rest))
	c = ContentRange{First: position(first), Last: position(last), Size: size}
	if !dashed || !known || c.First < 0 || c.Last < c.First || c.Size != Unknown && c.Last >= c.Size {
		return ContentRange{}, false
	}
	return c, true
}

// sizeOf reads "/size". It may be missing or unknown.
func sizeOf(s string) (size int64, ok bool) {
	rest, slash := strings.CutPrefix(s, "/")
	switch rest = trimOWS(rest); {
	case rest == "", slash && rest == "*":
		return Unknown, true
	case !slash:
		return Unknown, false
	}
	digits, more := cutDigits(rest)
	size = position(digits)
	return size, more == "" && size >= 0
}

// afterUnit is the rest of a field after "bytes" and the separator.
func afterUnit(field string) string {
	const unit = "bytes"
	field = trimOWS(field)
	if len(field) >= len(unit) && strings.EqualFold(field[:len(unit)], unit) {
		return strings.TrimLeft(field[len(unit):], " \t=:")
	}
	return field
}

func allEqual(lines []string) bool {
	for _, line := range lines {
		if line != lines[0] {
			return false
		}
	}
	return true
}

// position is the value of digits, -1 if they are malformed or too many.
func position(digits string) int64 {
	n := number(digits)
	if digits == "" || n == math.MaxInt64 {
		return -1
	}
	return n
}

// Append appends the text of the field to dst.
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

// String is the text of the field.
func (c ContentRange) String() string { return string(c.Append(make([]byte, 0, 64))) }

// Unsatisfied is the Content-Range of a 416 for a body of size bytes (RFC 9110 section 15.5.17).
func Unsatisfied(size int64) string { return "bytes */" + strconv.FormatInt(size, 10) }

// ContentLength is the Content-Length of a header. It is Unknown if there is none, more than one, or a malformed one.
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
