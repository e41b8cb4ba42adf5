// Package httprange holds the rules of HTTP for parts and versions of a body, each written once: the Range and Content-Range
// fields (RFC 9110 section 14), entity tags, dates and preconditions (sections 8.8, 5.6.7 and 13).
//
// All functions may be called concurrently. None allocates, except those that return a new string.
package httprange

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
)

// These bound the work that one Range field can cause.
const (
	MaxParts   = 8    // ranges in one answer, after joining
	MaxMembers = 100  // list members that are read
	MaxHeader  = 8192 // bytes of a field that is read
)

// VeryLast is the last position that a client sends for "to the end" (RFC 8673 section 2.2).
const VeryLast = 1<<53 - 1

// ErrIgnore is wrapped by every error that means: ignore the field and send the whole body with status 200 (RFC 9110 section
// 14.2).
var ErrIgnore = errors.New("range is to be ignored")

// The reasons to ignore a Range field. Each wraps ErrIgnore.
var (
	ErrUnit   = fmt.Errorf("%w: the unit is not bytes", ErrIgnore)
	ErrSyntax = fmt.Errorf("%w: malformed", ErrIgnore)
	ErrMany   = fmt.Errorf("%w: too many parts", ErrIgnore)
	ErrEmpty  = fmt.Errorf("%w: the body is empty", ErrIgnore)
)

// ErrUnsatisfiable means that the field is well formed and none of its ranges overlaps the body. Its HTTPStatus is 416 (RFC
// 9110 section 15.5.17).
var ErrUnsatisfiable error = unsatisfiable{}

type unsatisfiable struct{}

func (unsatisfiable) Error() string   { return "no range can be satisfied" }
func (unsatisfiable) HTTPStatus() int { return http.StatusRequestedRangeNotSatisfiable }

// Range is a part of a body: Length bytes from offset Start.
type Range struct{ Start, Length int64 }

// End is the offset after the last byte.
func (r Range) End() int64 { return r.Start + r.Length }

// Spec is one requested range, before the size of the body is known. "first-" has Last -1; "-suffix" has First -1 and the
// suffix in Last. A number beyond the greatest int64 becomes that.
type Spec struct{ First, Last int64 }

// Bounded reports whether the range names its last byte, so that it can be cut out of a body of unknown size. A last byte of
// VeryLast or more does not count.
func (s Spec) Bounded() bool { return s.First >= 0 && s.Last >= 0 && s.Last < VeryLast }

// In applies the range to a body of size bytes. The error is ErrEmpty for an empty body, else ErrUnsatisfiable.
func (s Spec) In(size int64) (Range, error) {
	r := s.within(size)
	switch {
	case size <= 0:
		return Range{}, ErrEmpty
	case r.Length == 0:
		return Range{}, ErrUnsatisfiable
	}
	return r, nil
}

// within returns length zero if the range does not overlap the body.
func (s Spec) within(size int64) Range {
	size = max(size, 0)
	switch {
	case s.First < 0:
		n := min(s.Last, size)
		return Range{Start: size - n, Length: n}
	case s.First >= size:
		return Range{}
	}
	stop := size - 1
	if s.Last >= 0 {
		stop = min(stop, s.Last)
	}
	return Range{Start: s.First, Length: stop - s.First + 1}
}

// Asked returns the Range field of a request. ok is false unless there is exactly one, and the method is GET, for which ranges
// are defined (RFC 9110 section 14.2).
func Asked(r *http.Request) (field string, ok bool) {
	lines := r.Header["Range"]
	if r.Method != http.MethodGet && r.Method != "" || len(lines) != 1 {
		return "", false
	}
	return lines[0], true
}

// ParseOne reads a Range field with exactly one range. ok is false if the field is malformed, has another unit, or has several
// ranges.
func ParseOne(field string) (s Spec, ok bool) {
	set, err := cutUnit(field)
	for err == nil && set != "" {
		var member string
		if member, set = cutMember(set); member == "" {
			continue
		}
		if ok {
			return Spec{}, false
		}
		s, err = parseMember(member)
		ok = true
	}
	return s, ok && err == nil
}

// Append reads a Range field for a body of size bytes and appends its ranges to dst, which must be empty.
//
// The ranges keep the order of the request. Ranges that overlap or touch are joined, at the place of the first. Ranges after
// the end of the body are left out, and those that reach beyond it are cut. There are at most MaxParts, and their sum never
// exceeds size. An error is ErrUnsatisfiable or wraps ErrIgnore.
func Append(dst []Range, field string, size int64) ([]Range, error) {
	set, err := cutUnit(field)
	if err != nil {
		return nil, err
	}
	if member, rest := cutMember(set); rest == "" && member != "" { // the common case
		s, err := parseMember(member)
		if err != nil {
			return nil, err
		}
		r, err := s.In(size)
		if err != nil {
			return nil, err
		}
		return append(dst, r), nil
	}
	return appendList(dst, set, size)
}

func appendList(dst []Range, set string, size int64) ([]Range, error) {
	var all [MaxMembers]Range
	ranges, members := all[:0], 0
	for set != "" {
		var member string
		if member, set = cutMember(set); member == "" {
			continue // RFC 9110 section 5.6.1.2
		}
		if members++; members > MaxMembers {
			return nil, ErrMany
		}
		s, err := parseMember(member)
		if err != nil {
			return nil, err
		}
		if r := s.within(size); r.Length > 0 {
			ranges = join(ranges, r)
		}
	}
	switch {
	case members == 0:
		return nil, ErrSyntax
	case size <= 0:
		return nil, ErrEmpty
	case len(ranges) == 0:
		return nil, ErrUnsatisfiable
	case len(ranges) > MaxParts:
		return nil, ErrMany
	}
	return append(dst, ranges...), nil
}

// join adds r to ranges that do not touch each other, and keeps it so: ranges that r touches become one, at the place of the
// first of them.
func join(ranges []Range, r Range) []Range {
	place := len(ranges)
	for i := 0; i < len(ranges); {
		if o := ranges[i]; r.Start <= o.End() && o.Start <= r.End() {
			start := min(r.Start, o.Start)
			r = Range{Start: start, Length: max(r.End(), o.End()) - start}
			place = min(place, i)
			ranges = append(ranges[:i], ranges[i+1:]...)
			continue
		}
		i++
	}
	ranges = append(ranges, r)
	copy(ranges[place+1:], ranges[place:])
	ranges[place] = r
	return ranges
}

// cutUnit removes "bytes=", in any case (RFC 9110 section 14.1).
func cutUnit(field string) (string, error) {
	const unit = "bytes="
	if len(field) > MaxHeader {
		return "", ErrMany
	}
	if len(field) < len(unit) || field[len(unit)-1] != '=' || !strings.EqualFold(field[:len(unit)], unit) {
		if strings.IndexByte(field, '=') > 0 {
			return "", ErrUnit
		}
		return "", ErrSyntax
	}
	return field[len(unit):], nil
}

// cutMember cuts the first member off a list. rest is empty after the last one; an empty member gives "".
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

// parseMember reads "first-last", "first-" or "-suffix".
func parseMember(member string) (Spec, error) {
	first, rest := cutDigits(member)
	if rest == "" || rest[0] != '-' {
		return Spec{}, ErrSyntax
	}
	last, rest := cutDigits(rest[1:])
	switch {
	case rest != "" || first == "" && last == "":
		return Spec{}, ErrSyntax
	case first == "":
		return Spec{First: -1, Last: number(last)}, nil
	case last == "":
		return Spec{First: number(first), Last: -1}, nil
	case less(last, first):
		return Spec{}, ErrSyntax
	}
	return Spec{First: number(first), Last: number(last)}, nil
}

func cutDigits(s string) (digits, rest string) {
	i := 0
	for i < len(s) && s[i]-'0' <= 9 {
		i++
	}
	return s[:i], s[i:]
}

// number is the value of digits, at most the greatest int64.
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
