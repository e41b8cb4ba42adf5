package rewrite

import (
	"bytes"
	"net/url"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// Query carries the upstream URL in a query parameter: with Query("/proxy", "url") the public URL of
// https://cdn.example/a/seg1.ts is /proxy/seg1.ts?url=https%3A%2F%2Fcdn.example%2Fa%2Fseg1.ts. The public path has the last
// element of the upstream path, for players that go by the extension. If the extension does not fit, a playlist gets another
// one after it (see [KindMapper]). Upstream ignores the path and accepts /proxy?url= as well, under any mount point. path is an
// absolute path (a missing slash is added at its beginning, one at its end is dropped), and param is the name of the parameter,
// "url" if empty. The mapper covers every http and https URL that has a host and no user, so something else must decide where
// requests may go.
//
// The parameter holds the upstream URL as the playlist has it; Upstream returns it as it is sent.
//
// People paste URLs without escaping them (/proxy?url=https://cdn.example/a.m3u8?x=1&y=2). Such a URL is used as it is, with
// everything that follows.
//
// Upstream fails with status 400 if the parameter is missing, doubled or malformed. Of the client's own parameters, only
// delivery directives are passed on. They are appended to the upstream query, unless the upstream path has the extension of a
// segment or key.
func Query(path, param string) Mapper {
	if param == "" {
		param = "url"
	}
	path = (&url.URL{Path: "/" + strings.Trim(path, "/")}).EscapedPath()
	return &queryMapper{
		head:  strings.TrimSuffix(path, "/") + "/",
		param: url.QueryEscape(param) + "=",
		mid:   "?" + url.QueryEscape(param) + "=",
	}
}

type queryMapper struct {
	head  string // "/proxy/"
	mid   string // "?url="
	param string // "url="
}

func (m *queryMapper) AppendPublic(dst, upstream []byte) ([]byte, error) {
	return m.AppendPublicOf(dst, upstream, "", "")
}

// AppendPublicOf implements KindMapper.
func (m *queryMapper) AppendPublicOf(dst, upstream []byte, _, ext string) ([]byte, error) {
	_, path, ok := splitHTTP(upstream)
	if !ok {
		return dst, ErrUnmapped
	}
	dst = append(dst, m.head...)
	start := len(dst)
	dst = appendExtension(appendName(dst, upstream[path:]), start, ext)
	dst = append(dst, m.mid...)
	return appendEscaped(dst, upstream), nil
}

func (m *queryMapper) Upstream(public *url.URL) (string, error) {
	value, n := "", 0
	for rest := public.RawQuery; rest != ""; {
		param, behind, _ := strings.Cut(rest, "&")
		if v, ok := strings.CutPrefix(param, m.param); ok {
			value = v
			n++
			if isPasted(v) {
				value, behind = strings.TrimPrefix(rest, m.param), ""
			}
		}
		rest = behind
	}
	switch {
	case n == 0:
		return "", badRequest("no " + m.param)
	case n > 1:
		return "", badRequest("more than one " + m.param)
	}
	upstream, query := value, "" // a pasted URL already has its directives
	if !isPasted(value) {
		query = public.RawQuery
		var err error
		if upstream, err = unescapeValue(value); err != nil {
			return "", badRequest("malformed escapes in " + m.param)
		}
	}
	_, path, ok := splitHTTP([]byte(upstream))
	if !ok {
		return "", badRequest(m.param + " is not an absolute http or https URL without a user")
	}
	upstream = string(sent([]byte(upstream), path))
	tail, _, _ := splitTail([]byte(upstream[path:]))
	if isPlaylistPath(tail) {
		upstream = appendDirectives(upstream, query)
	}
	return upstream, nil
}

// isPasted reports whether somebody has put a URL with a query after "url=" without escaping it. Everything that follows then
// belongs to it.
func isPasted(value string) bool {
	return isRaw(value) && strings.Contains(value, "?")
}

// isRaw reports whether the beginning of a URL is not escaped.
func isRaw(value string) bool {
	n := httpScheme([]byte(value))
	return n > 0 && strings.HasPrefix(value[n:], "//")
}

// unescapeValue removes the escapes of the parameter. A plus is a blank only if the rest is escaped as well.
func unescapeValue(value string) (string, error) {
	if isRaw(value) {
		return url.PathUnescape(value)
	}
	return url.QueryUnescape(value)
}

const (
	maxName      = 64 // of the file name in a public URL
	maxExtension = 10 // of its extension, with the dot
)

// appendName appends a file name for a URL with this path (with or without a query): the last element of the path, reduced to
// unreserved bytes other than "~", so that nothing on the way changes it, with its extension at the end.
func appendName(dst, path []byte) []byte {
	path, _, _ = splitTail(path)
	element := path[bytes.LastIndexByte(path, '/')+1:]
	dst, _ = appendElement(dst, element, classOf(element)&escaped == 0)
	return dst
}

// appendElement is appendName for the last element alone. plain: nothing in it is escaped in a query. same: it was appended
// unchanged.
func appendElement(dst, element []byte, plain bool) (_ []byte, same bool) {
	if n := len(element); plain && n > 0 && n <= maxName && element[0] != '.' {
		return append(dst, element...), true
	}
	return appendSafeName(dst, element), false
}

// appendExtension appends an extension to the name that begins at start, unless it has one that fits.
func appendExtension(dst []byte, start int, ext string) []byte {
	if ext == "" || hls.Fits(dst[start:], ext) {
		return dst
	}
	return append(append(dst, '.'), ext...)
}

func appendSafeName(dst, element []byte) []byte {
	ext := extension(element)
	stem := element
	if ext != nil {
		stem = element[:len(element)-len(ext)-1]
	}
	start := len(dst)
	dst = appendUnreserved(dst, stem, maxName-maxExtension)
	if len(dst) == start {
		dst = append(dst, "index"...)
	}
	end := len(dst)
	dst = appendUnreserved(append(dst, '.'), ext, maxExtension-1)
	if len(dst) == end+1 {
		return dst[:end]
	}
	return dst
}

// appendUnreserved appends up to limit unreserved bytes of s; a dot never comes first.
func appendUnreserved(dst, s []byte, limit int) []byte {
	start := len(dst)
	for i := 0; i < len(s) && len(dst)-start < limit; i++ {
		c := s[i]
		if c == '%' && wire.IsEscape(s[i:]) {
			i += 2 // the digits of an escape do not belong to the name
			continue
		}
		if class[c]&escaped == 0 && (c != '.' || len(dst) > start) {
			dst = append(dst, c)
		}
	}
	return dst
}
