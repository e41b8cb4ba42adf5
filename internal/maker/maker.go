// Package maker carries what the maker of a link says about asking the origin, in the context of a request, from the block that
// knows it to those that ask. It is not the viewer's: it passes no list of allowed fields, is sent with each request that the
// viewer's leads to, redirects and revalidation included, and all requests by that link share what depends on it.
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
	// Apply sets the fields of a request for u, in place of the viewer's.
	Apply(h http.Header, u *url.URL)
	// Credentials names those of them that are credentials, in their canonical form and in order. Only links with the same
	// credentials share an answer. SetCookie is among them where a cookie that the answer sets is wanted.
	Credentials(u *url.URL) []string
	// Inherited is what is asked for where a playlist names u.
	Inherited(u *url.URL) *url.URL
	// Received hears the header of each answer, that of a redirect too.
	Received(u *url.URL, h http.Header)
}

// SetCookie is the field by which an origin opens a session: what sets one is for nobody else then.
const SetCookie = "Set-Cookie"

// WantsCookies reports whether cookies that the answer to r sets are wanted.
func WantsCookies(r *http.Request) bool { return slices.Contains(Credentials(r), SetCookie) }

type contextKey struct{}

// NewContext returns ctx with f.
func NewContext(ctx context.Context, f Fields) context.Context {
	return context.WithValue(ctx, contextKey{}, f)
}

// FromContext returns the Fields in ctx, or nil.
func FromContext(ctx context.Context) Fields {
	f, _ := ctx.Value(contextKey{}).(Fields)
	return f
}

// Credentials names the fields of r that are credentials of the link's maker.
func Credentials(r *http.Request) []string {
	if f := FromContext(r.Context()); f != nil {
		return f.Credentials(r.URL)
	}
	return nil
}

// Digest stands for the values of fields in a cache's key: by it nobody learns them, and no two that differ have one.
func Digest(h http.Header, names []string) string {
	sum := sha256.New()
	for _, name := range names {
		for _, text := range append([]string{name}, h[name]...) {
			sum.Write(binary.AppendUvarint(nil, uint64(len(text))))
			_, _ = io.WriteString(sum, text)
		}
		sum.Write([]byte{0xff, 0xff}) // no length begins so: what follows is another name
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}
