package rangeserve

import (
	"math"
	"strings"
)

const (
	maxParts   = 8    // ranges in one answer, once joined
	maxMembers = 100  // list members worth looking at
	maxHeader  = 8192 // bytes of a Range header worth looking at
)

// A Range is a part of a body: Length bytes from offset Start. What Parse returns lies within the body, and no Length
// is zero.
type Range struct {
	// Start is the offset of the first byte, from 0.
	Start int64
	// Length is the number of bytes, at least 1.
	Length int64
}

func (r Range) end() int64 { return r.Start + r.Length }

// Parse reads the value of a Range header for a body of size bytes, by RFC 9110 section 14.
//
// The ranges come in the order in which they were asked for. Those that overlap or touch are joined, at the place of
// the first; those that lie behind the end of the body are left out, and those that reach beyond it are cut. There are
// at most 8, and their sum never exceeds size.
//
// An error either wraps [ErrIgnore], and the body is to be sent whole with status 200, or is [ErrUnsatisfiable], and
// the answer is a 416. An empty header is ErrSyntax, and any range of an empty body is ErrEmpty. Parse may be called
// concurrently. It costs no allocation where the result does not outlive the calling function, and one where it does.
func Parse(header string, size int64) ([]Range, error) {
	return appendRanges(make([]Range, 0, maxParts), header, size) // inlined, so that it is on the caller's stack
}

// appendRanges is Parse into an array of the caller's. dst is empty and has room for maxParts.
func appendRanges(dst []Range, header string, size int64) ([]Range, error) {
	set, err := cutUnit(header)
	if err != nil {
		return nil, err
	}
	if member, rest := cutMember(set); rest == "" && member != "" { // nearly every header there is
		r, err := parseMember(member, size)
		switch {
		case err != nil:
			return nil, err
		case size <= 0:
			return nil, ErrEmpty
		case r.Length == 0:
			return nil, ErrUnsatisfiable
		}
		return append(dst, r), nil
	}
	return appendList(dst, set, size)
}

// cutUnit takes "bytes=" off, in any case (RFC 9110 section 14.1).
func cutUnit(header string) (string, error) {
	const unit = "bytes="
	if len(header) > maxHeader {
		return "", ErrMany
	}
	if len(header) < len(unit) || header[len(unit)-1] != '=' || !strings.EqualFold(header[:len(unit)], unit) {
		return "", unitError(header)
	}
	return header[len(unit):], nil
}

// unitError tells a header of another unit from one that is no Range header at all.
func unitError(header string) error {
	if strings.IndexByte(header, '=') > 0 {
		return ErrUnit
	}
	return ErrSyntax
}

// cutMember takes the first member off a list. The rest is empty when it was the last; an empty member gives "".
func cutMember(list string) (member, rest string) {
	for i := range len(list) {
		if list[i] == ',' {
			return trimOWS(list[:i]), list[i+1:]
		}
	}
	return trimOWS(list), ""
}

func trimOWS(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// parseMember reads "first-last", "first-" or "-suffix". A range that is well formed and names no byte of the body has
// length zero.
func parseMember(member string, size int64) (Range, error) {
	first, rest := cutDigits(member)
	if rest == "" || rest[0] != '-' {
		return Range{}, ErrSyntax
	}
	last, rest := cutDigits(rest[1:])
	switch {
	case rest != "" || first == "" && last == "":
		return Range{}, ErrSyntax
	case first == "":
		n := min(number(last), max(size, 0))
		return Range{Start: size - n, Length: n}, nil
	case last != "" && less(last, first):
		return Range{}, ErrSyntax
	}
	start := number(first)
	if start >= size {
		return Range{}, nil
	}
	stop := size - 1
	if last != "" {
		stop = min(stop, number(last))
	}
	return Range{Start: start, Length: stop - start + 1}, nil
}

func cutDigits(s string) (digits, rest string) {
	i := 0
	for i < len(s) && s[i]-'0' <= 9 {
		i++
	}
	return s[:i], s[i:]
}

// number is the value of digits, or the greatest int64 when that is less.
func number(digits string) int64 {
	n := int64(0)
	for i := range len(digits) {
		d := int64(digits[i] - '0')
		if n > (math.MaxInt64-d)/10 {
			return math.MaxInt64
		}
		n = n*10 + d
	}
	return n
}

// less compares two numbers of any length.
func less(a, b string) bool {
	x, y := number(a), number(b)
	if x != math.MaxInt64 || y != math.MaxInt64 {
		return x < y
	}
	a, b = trimZeros(a), trimZeros(b)
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

func trimZeros(s string) string {
	for s != "" && s[0] == '0' {
		s = s[1:]
	}
	return s
}
