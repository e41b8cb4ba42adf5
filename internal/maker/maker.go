// Package maker carries, in the context of a request, what the maker of a link says about requests to the origin, from the
// block that knows it to those that send requests. It does not come from the viewer: it passes no list of allowed fields, and
// it is sent with each request that follows from the viewer's, including redirects and revalidation. All requests with that
// link share the answers.
package maker

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"slices"
)

// Fields are what the maker of a link says. The methods may be called concurrently.
type Fields interface {
	// Apply sets the maker's fields for a request to u, in place of the viewer's.
	Apply(h http.Header, u *url.URL)
	// Credentials returns the canonical names of the fields for u that are credentials, in order. Only links with the same
	// credentials share an answer. SetCookie is among them if the link wants cookies from the origin.
	Credentials(u *url.URL) []string
	// Inherited is the URL to request if a playlist names u.
	Inherited(u *url.URL) *url.URL
	// Received is called with the header of each answer, redirects included.
	Received(u *url.URL, h http.Header)
}

// SetCookie is the field with which an origin opens a session. An answer that sets a cookie is then for nobody else.
const SetCookie = "Set-Cookie"

// WantsCookies reports whether the link wants the cookies that the answer to r sets.
func WantsCookies(r *http.Request) bool { return slices.Contains(Credentials(r), SetCookie) }

// Key is the key of a context value: the Fields.
type Key struct{}

// NewContext returns ctx with f.
func NewContext(ctx context.Context, f Fields) context.Context {
	return context.WithValue(ctx, Key{}, f)
}

// FromContext returns the Fields in ctx, or nil.
func FromContext(ctx context.Context) Fields {
	f, _ := ctx.Value(Key{}).(Fields)
	return f
}

// Credentials returns the names of the fields of r that are credentials of the link's maker.
func Credentials(r *http.Request) []string {
	if f := FromContext(r.Context()); f != nil {
		return f.Credentials(r.URL)
	}
	return nil
}

// Digest stands for the values of fields in a cache key. It does not reveal them, and different values give different digests.
func Digest(h http.Header, names []string) string {
	sum := sha256.New()
	for _, name := range names {
		for _, text := range append([]string{name}, h[name]...) {
			sum.Write(binary.AppendUvarint(nil, uint64(len(text))))
			_, _ = io.WriteString(sum, text)
		}
		sum.Write([]byte{0xff, 0xff}) // no length begins like this: the next name follows
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}
