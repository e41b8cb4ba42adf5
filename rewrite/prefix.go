package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// Prefix maps one tree onto another: with Prefix("/live/", "https://origin.example/a/") the public URL of
// https://origin.example/a/x/seg1.ts?k=v is /live/x/seg1.ts?k=v. public is an absolute path, upstream an absolute http or https
// URL without a query; both get a final slash if they have none. All their faults are reported at once.
//
// Each alias is another upstream prefix with the same files at another address, such as another origin of a pool. It maps to
// the same public tree, and Upstream returns the first spelling. So the law of [Mapper] holds for URLs below upstream, not for
// those below an alias. Scheme, host, default port and escapes are compared by RFC 3986 section 6.2:
// "HTTPS://Origin.example:443/a/x" lies below "https://origin.example/a/". Paths are compared byte for byte.
//
// The public path and query are the upstream ones as they are sent. Delivery directives that a client adds to a URL with the
// extension of a segment or key are dropped. Bytes that a browser or http.ServeMux would change on the way (the second of two
// slashes, some bytes in a query) are written as %25 and their hexadecimal code; Upstream accepts no other spelling of a path.
// Neither half accepts dot segments, in any spelling that some server reads as one: escaped (even several times), beside blanks
// or control bytes, with backslashes, in full-width characters.
func Prefix(public, upstream string, aliases ...string) (Mapper, error) {
	m := &prefixMapper{public: public}
	var errs []error
	if err := checkPublic(public); err != nil {
		errs = append(errs, err)
	}
	if !strings.HasSuffix(m.public, "/") {
		m.public += "/"
	}
	for _, u := range append([]string{upstream}, aliases...) {
		if err := checkTree(u); err != nil {
			errs = append(errs, err)
		}
		if !strings.HasSuffix(u, "/") {
			u += "/"
		}
		m.trees = append(m.trees, tree{string(sent([]byte(u), 0)), string(appendCanonical(nil, []byte(u)))})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return m, nil
}

// checkPublic reports what is wrong with the public prefix of a mapper.
func checkPublic(path string) error {
	parsed, err := url.ParseRequestURI(path)
	switch {
	case !strings.HasPrefix(path, "/") || err != nil || parsed.EscapedPath() != path:
		return fmt.Errorf("rewrite: public prefix %q is not an absolute path", path)
	case strings.Contains(path, "//") || wire.Climbs([]byte(path)) || strings.Contains(path, "%25"):
		return fmt.Errorf("rewrite: public prefix %q is not a clean path", path)
	}
	return nil
}

// checkTree reports what is wrong with an upstream prefix.
func checkTree(u string) error {
	_, path, ok := splitHTTP([]byte(u))
	switch {
	case !ok:
		return fmt.Errorf("rewrite: upstream prefix %q is not an absolute http or https URL without a user", u)
	case strings.ContainsAny(u, "?#"):
		return fmt.Errorf("rewrite: upstream prefix %q has a query or a fragment", u)
	case wire.Climbs([]byte(u[path:])):
		return fmt.Errorf("rewrite: upstream prefix %q has a dot segment", u)
	}
	return nil
}

type prefixMapper struct {
	public string
	trees  []tree // the first is what Upstream gives
}

// tree is an upstream prefix: as written, and in a form for comparison if that does not match.
type tree struct{ written, canonical string }

func (m *prefixMapper) AppendPublic(dst, upstream []byte) ([]byte, error) {
	for i := range m.trees {
		if rest, ok := bytes.CutPrefix(upstream, []byte(m.trees[i].written)); ok {
			return m.appendRest(dst, rest)
		}
	}
	var buf [512]byte
	canonical := appendCanonical(buf[:0], upstream)
	for i := range m.trees {
		if rest, ok := bytes.CutPrefix(canonical, []byte(m.trees[i].canonical)); ok {
			return m.appendRest(dst, rest)
		}
	}
	return dst, ErrUnmapped
}

func (m *prefixMapper) appendRest(dst, rest []byte) ([]byte, error) {
	start := len(dst)
	dst, ok := appendOdd(append(dst, m.public...), rest, '/')
	if !ok {
		return dst[:start], ErrUnmapped
	}
	return dst, nil
}

func (m *prefixMapper) Upstream(public *url.URL) (string, error) {
	rest, ok := strings.CutPrefix(public.EscapedPath(), m.public)
	if !ok {
		return "", notFound("path outside of the mapped tree")
	}
	var buf [256]byte // enough for most, and not from the heap
	return appendUpstream(append(buf[:0], m.trees[0].written...), rest, '/', public)
}

// appendUpstream appends the rest of a public URL, in the spelling of the upstream, to a prefix that ends in the byte after.
func appendUpstream(dst []byte, path string, after byte, public *url.URL) (string, error) {
	start := len(dst)
	dst, ok := appendPlainPath(dst, path, after)
	if !ok || wire.Climbs(dst[start:]) {
		return "", notFound("path that no mapped URL has")
	}
	switch {
	case public.RawQuery != "":
		dst, ok = appendPlainQuery(dst, public.RawQuery, isPlaylistPath(dst[start:]))
	case public.ForceQuery:
		dst = append(dst, '?')
	}
	if !ok {
		return "", notFound("query that no mapped URL has")
	}
	return string(sent(dst, start)), nil
}
