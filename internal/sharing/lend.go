package sharing

import "net/http"

// Lending is the key of a context value: a Lender.
type Lending struct{}

// Lender is the outermost block of a chain. It lends the header map of the viewer's answer to the RoundTripper right below it.
// Otherwise each answer from a cache would have a map of its own, only to be copied.
type Lender interface {
	// LendsTo reports whether t was called by the Lender itself, with r, and has not returned. A RoundTripper of somebody else
	// in between may call t twice at a time, or leave it alone.
	LendsTo(t http.RoundTripper, r *http.Request) bool
	// Lend returns an empty map that becomes the Header of the answer, or nil if it was lent before.
	Lend() http.Header
	// Passes reports whether the field with this canonical name reaches the viewer. Others may be left out of the map.
	Passes(name string) bool
}

// LenderTo returns the Lender that lends to t for r, or nil.
func LenderTo(t http.RoundTripper, r *http.Request) Lender {
	if l, ok := r.Context().Value(Lending{}).(Lender); ok && l.LendsTo(t, r) {
		return l
	}
	return nil
}
