package rangeserve

import (
	"errors"

	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// ErrIgnore is what every error of Parse wraps that asks for the header to be ignored and the whole body to be sent
// with status 200 (RFC 9110 section 14.2): [ErrUnit], [ErrSyntax], [ErrMany] and [ErrEmpty].
var ErrIgnore = httprange.ErrIgnore

// The reasons to ignore a Range header. Each wraps [ErrIgnore].
var (
	// ErrUnit means that the unit is not bytes.
	ErrUnit = httprange.ErrUnit
	// ErrSyntax means that a member of the list is not a range (RFC 9110 section 14.1.1), or that there is none.
	ErrSyntax = httprange.ErrSyntax
	// ErrMany means that more parts are left than anybody needs, once neighbours and overlaps are joined.
	ErrMany = httprange.ErrMany
	// ErrEmpty means that the body is empty, so that no range can be satisfied and none is worth a refusal.
	ErrEmpty = httprange.ErrEmpty
)

// ErrUnsatisfiable means that the header is well formed and that none of its ranges names a byte of the body: the
// answer is a 416 whose Content-Range is "bytes */size" (RFC 9110 section 15.5.17). Its HTTPStatus method says 416.
var ErrUnsatisfiable = httprange.ErrUnsatisfiable

// errServed ends the work of an inner handler whose remaining bytes nobody asked for.
var errServed = errors.New("rangeserve: everything that was asked for has been sent")
