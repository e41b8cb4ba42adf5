package rangeserve

import "github.com/hlsproxy/hlsproxy/internal/httprange"

// ErrIgnore means: ignore the header and send the whole body with status 200 (RFC 9110 section 14.2). These errors of Parse
// wrap it: [ErrUnit], [ErrSyntax], [ErrMany] and [ErrEmpty].
var ErrIgnore = httprange.ErrIgnore

// The reasons to ignore a Range header. Each wraps [ErrIgnore].
var (
	// ErrUnit means that the unit is not bytes.
	ErrUnit = httprange.ErrUnit
	// ErrSyntax means that a member of the list is not a range (RFC 9110 section 14.1.1), or that there is none.
	ErrSyntax = httprange.ErrSyntax
	// ErrMany means that the header has more than 100 members or 8,192 bytes, or that more than 8 parts are left after ranges
	// that touch or overlap were joined.
	ErrMany = httprange.ErrMany
	// ErrEmpty means that the body is empty: no range can be satisfied, and a whole empty answer does no harm.
	ErrEmpty = httprange.ErrEmpty
)

// ErrUnsatisfiable means that the header is well formed and that none of its ranges overlaps the body: the answer is a 416
// whose Content-Range is "bytes */size" (RFC 9110 section 15.5.17). Its HTTPStatus method returns 416.
var ErrUnsatisfiable = httprange.ErrUnsatisfiable

// A Range is a part of a body: Length bytes from offset Start. Ranges from Parse lie within the body, and no Length is zero.
type Range struct {
	// Start is the offset of the first byte, from 0.
	Start int64
	// Length is the number of bytes, at least 1.
	Length int64
}

// Parse reads the value of a Range header for a body of size bytes, by RFC 9110 section 14.
//
// The ranges keep the order of the request. Ranges that overlap or touch are joined, at the place of the first. Ranges after
// the end of the body are left out, and those that reach beyond it are cut. There are at most 8, and their sum never exceeds
// size.
//
// An error either wraps [ErrIgnore], and the body must be sent whole with status 200, or is [ErrUnsatisfiable], and the answer
// is a 416. An empty header is ErrSyntax, and any range of an empty body is ErrEmpty. Parse may be called concurrently. It
// allocates nothing if the result does not outlive the calling function, and once if it does.
func Parse(header string, size int64) ([]Range, error) {
	return appendRanges(make([]Range, 0, httprange.MaxParts), header, size) // inlined, so that it is on the caller's stack
}

// appendRanges is Parse into an array of the caller, which has room for MaxParts.
func appendRanges(dst []Range, header string, size int64) ([]Range, error) {
	var buf [httprange.MaxParts]httprange.Range
	ranges, err := httprange.Append(buf[:0], header, size)
	if err != nil {
		return nil, err
	}
	for _, r := range ranges {
		dst = append(dst, Range(r))
	}
	return dst, nil
}
