// Package firstbyte lets an outer block see the first byte of a body and leave it there. Reading it instead would need a body in
// place of the other, and a Write of its own for that byte.
package firstbyte

import "errors"

// Body is a body that can show its next byte.
type Body interface {
	// PeekByte waits for the next byte, as Read does, and returns it without reading it. The error is the one that Read would
	// return, or [errors.ErrUnsupported].
	PeekByte() (byte, error)
}

// Of returns the next byte of a body. The error is [errors.ErrUnsupported] if the body cannot show it.
func Of(body any) (byte, error) {
	if b, ok := body.(Body); ok {
		return b.PeekByte()
	}
	return 0, errors.ErrUnsupported
}
