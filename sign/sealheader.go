package sign

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// sealable are the header fields that can be sealed: what origins go by and a proxy does not decide itself.
func sealable() []string {
	return []string{"Authorization", "Cookie", "Origin", "Referer", "User-Agent"}
}

// URL returns the public path of an upstream URL with header fields for the origin sealed inside, which the viewer neither
// sees nor can change: Authorization, Cookie, Origin, Referer and User-Agent are possible. For them to be sent, Handler has
// to stand in front of the proxy and the proxy has to pass the fields on; for the URLs in a playlist to have them too, the
// rewriter has to call Sign, before a Signer's. An origin's answers must not differ by these fields where a cache of
// answers knows only the URL.
func (s *Sealer) URL(upstream string, header http.Header) (string, error) {
	var errs []error
	var block []byte
	for _, name := range slices.Sorted(maps.Keys(header)) {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if !slices.Contains(sealable(), canonical) {
			errs = append(errs, fmt.Errorf("sign: header field %q cannot be sealed", name))
		}
		for _, value := range header[name] {
			if strings.ContainsAny(value, "\r\n\x00") {
				errs = append(errs, fmt.Errorf("sign: value of header field %q has a line end", name))
			}
			block = append(appendLen(block, len(canonical)), canonical...)
			block = append(appendLen(block, len(value)), value...)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	out, err := s.seal(nil, []byte(upstream), string(block))
	return string(out), err
}

// sealedHeader is the key of the sealed fields under which a request came, in its context.
type sealedHeader struct{ sealer *Sealer }

// sealed are the header fields of a request, and the origin that they were sealed for.
type sealed struct{ block, origin string }

// Handler gives requests for sealed URLs the header fields that are sealed inside, in place of the viewer's own, of which
// only User-Agent goes on when none is sealed.
func (s *Sealer) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upstream, block, err := s.open(r.URL.EscapedPath())
		if err != nil {
			block = "" // Upstream will say so
		}
		out := r.WithContext(context.WithValue(r.Context(), sealedHeader{s}, sealed{block, originOf(upstream)}))
		out.Header = r.Header.Clone()
		for _, name := range sealable() {
			if name != "User-Agent" {
				out.Header.Del(name)
			}
		}
		applyHeader(out.Header, block)
		next.ServeHTTP(w, out)
	})
}

func applyHeader(h http.Header, block string) {
	seen := map[string]bool{}
	for block != "" {
		var name, value string
		name, block = cutString(block)
		value, block = cutString(block)
		if !seen[name] {
			h.Del(name)
		}
		seen[name] = true
		h.Add(name, value)
	}
}

// Sign seals the header fields of the request that ctx belongs to into public, a URL that this Sealer has made. It is for
// the Sign hook of a playlist rewriter; without such fields it changes nothing. Authorization and Cookie stay out of URLs of
// another scheme, host or port than the request's, whatever a playlist names.
func (s *Sealer) Sign(ctx context.Context, public []byte) ([]byte, error) {
	in, _ := ctx.Value(sealedHeader{s}).(sealed)
	if in.block == "" {
		return public, nil
	}
	p, ok := link.Split(public)
	if !ok {
		return public, ErrURL
	}
	upstream, _, err := s.open(string(p.Path()))
	if err != nil {
		return public, err
	}
	block := in.block
	if originOf(upstream) != in.origin {
		block = withoutCredentials(block)
	}
	tail := bytes.Clone(p.Tail())
	out, err := s.seal(p.Root(), upstream, block)
	return append(out, tail...), err
}

// originOf is the scheme, the host and the port of a URL, in the one spelling by which they can be compared (RFC 3986,
// section 6.2.3).
func originOf(upstream []byte) string {
	u, err := url.Parse(string(upstream))
	if err != nil {
		return ""
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + host + ":" + port
}

// withoutCredentials leaves out of a block what only the origin may see that it was sealed for.
func withoutCredentials(block string) string {
	var out []byte
	for block != "" {
		var name, value string
		name, block = cutString(block)
		value, block = cutString(block)
		if name != "Authorization" && name != "Cookie" {
			out = append(appendLen(out, len(name)), name...)
			out = append(appendLen(out, len(value)), value...)
		}
	}
	return string(out)
}

// cutHeader takes the block of header fields off what was sealed.
func cutHeader(plain []byte) (block string, rest []byte, ok bool) {
	n, size := binary.Uvarint(plain)
	if size <= 0 || n > uint64(len(plain)-size) {
		return "", nil, false
	}
	return string(plain[size : size+int(n)]), plain[size+int(n):], true
}

// cutString takes a string after its length off a block, which a Sealer has made.
func cutString(block string) (s, rest string) {
	s, tail, ok := cutHeader([]byte(block))
	if !ok {
		return "", ""
	}
	return s, string(tail)
}
