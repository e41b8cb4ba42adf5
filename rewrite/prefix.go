package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Prefix maps one tree onto another: with Prefix("/live/", "https://origin.example/a/") the public URL of
// https://origin.example/a/x/seg1.ts?k=v is /live/x/seg1.ts?k=v. public is an absolute path, upstream an absolute http
// or https URL without a query; both get a final slash if they have none. Every fault of them is reported at once.
//
// Each alias is another upstream prefix that shows the same files under other addresses, such as the other origins of
// a pool: it maps to the same public tree, and Upstream gives the first spelling. So the law of [Mapper] holds for URLs
// below upstream, not for those below an alias. Prefixes are compared byte for byte; one that differs only in case or
// by a default port needs an alias of its own.
//
// The public query is the upstream query, byte for byte. Delivery directives that a client adds to a URL with the
// extension of a segment or key are dropped. Bytes that would not survive the way through a browser, net/url and
// http.ServeMux are written as %25 and their hexadecimal code. Dot segments in any spelling are mapped by neither half.
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
		m.upstream = append(m.upstream, u)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return m, nil
}

// checkPublic reports what is wrong with the path that a mapper's public URLs begin with.
func checkPublic(path string) error {
	parsed, err := url.ParseRequestURI(path)
	switch {
	case !strings.HasPrefix(path, "/") || err != nil || parsed.EscapedPath() != path:
		return fmt.Errorf("rewrite: public prefix %q is not an absolute path", path)
	case strings.Contains(path, "//") || climbs([]byte(path)) || strings.Contains(path, "%25"):
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
	case climbs([]byte(u[path:])):
		return fmt.Errorf("rewrite: upstream prefix %q has a dot segment", u)
	}
	return nil
}

type prefixMapper struct {
	public   string
	upstream []string // the first is what Upstream gives
}

func (m *prefixMapper) AppendPublic(dst, upstream []byte) ([]byte, error) {
	for _, tree := range m.upstream {
		rest, ok := bytes.CutPrefix(upstream, []byte(tree))
		if !ok {
			continue
		}
		start := len(dst)
		if dst, ok = appendOdd(append(dst, m.public...), rest, '/'); ok {
			return dst, nil
		}
		dst = dst[:start]
	}
	return dst, ErrUnmapped
}

func (m *prefixMapper) Upstream(public *url.URL) (string, error) {
	rest, ok := strings.CutPrefix(public.EscapedPath(), m.public)
	if !ok {
		return "", notFound("path outside of the mapped tree")
	}
	var buf [256]byte // enough for most, and not from the heap
	return appendUpstream(append(buf[:0], m.upstream[0]...), rest, public)
}

// appendUpstream appends the rest of a public URL, in the upstream's spelling, to a prefix that ends in a slash or in a host.
func appendUpstream(dst []byte, path string, public *url.URL) (string, error) {
	start := len(dst)
	dst, ok := appendPlainPath(dst, path)
	if !ok || climbs(dst[start:]) {
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
	return string(dst), nil
}
