package rewrite

import (
	"bytes"

	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// schemeLen is the length of the scheme at the beginning of ref, with the colon; 0: there is none (RFC 3986 section 3.1).
func schemeLen(ref []byte) int {
	for i, c := range ref {
		switch {
		case c|0x20-'a' < 26:
		case i > 0 && (c-'0' < 10 || c == '+' || c == '-' || c == '.'):
		case i > 0 && c == ':':
			return i + 1
		default:
			return 0
		}
	}
	return 0
}

// httpScheme is the length of "http:" or "https:", in any case, at the beginning of s.
func httpScheme(s []byte) int {
	if len(s) < 5 || s[0]|0x20 != 'h' || s[1]|0x20 != 't' || s[2]|0x20 != 't' || s[3]|0x20 != 'p' {
		return 0
	}
	if s[4] == ':' {
		return 5
	}
	if len(s) > 5 && s[4]|0x20 == 's' && s[5] == ':' {
		return 6
	}
	return 0
}

// authorityEnd is the end of the authority that begins at from with two slashes.
func authorityEnd(s []byte, from int) int {
	if len(s) < from+2 || s[from] != '/' || s[from+1] != '/' {
		return from
	}
	for i := from + 2; i < len(s); i++ {
		if c := s[i]; c == '/' || c == '?' || c == '#' {
			return i
		}
	}
	return len(s)
}

// splitHTTP splits an absolute http or https URL: host is the length of its scheme and the two slashes, path the end of its
// authority. ok: it can be fetched, because it has a host, no user, and a port of digits only.
func splitHTTP(u []byte) (host, path int, ok bool) {
	n := httpScheme(u)
	path = authorityEnd(u, n)
	if n == 0 || path <= n+2 {
		return 0, 0, false
	}
	return n + 2, path, validHost(u[n+2 : path])
}

// validHost reports whether net/url accepts a host, with or without a port. A user is refused.
func validHost(host []byte) bool {
	name, port := splitPort(host)
	if len(name) == 0 {
		return false
	}
	for _, c := range port {
		if c-'0' > 9 {
			return false
		}
	}
	if name[0] == '[' {
		return validLiteral(name)
	}
	for _, c := range name {
		if class[c]&hostBytes == 0 {
			return false
		}
	}
	return true
}

// splitPort splits at the colon before the port. An IPv6 literal keeps its brackets.
func splitPort(host []byte) (name, port []byte) {
	i := bytes.LastIndexByte(host, ':')
	if i < 0 || bytes.LastIndexByte(host, ']') > i {
		return host, nil
	}
	return host[:i], host[i+1:]
}

func validLiteral(name []byte) bool {
	if len(name) < 4 || name[len(name)-1] != ']' {
		return false
	}
	for _, c := range name[1 : len(name)-1] {
		if wire.Unhex(c) > 15 && c != ':' && c != '.' {
			return false
		}
	}
	return true
}

// appendCanonical appends an absolute http or https URL in a spelling for comparison: scheme and host in lower case, without
// the default port, with a path, and with the bytes that are sent (RFC 3986 sections 6.2.2.1 and 6.2.3). Other URLs are
// appended unchanged.
func appendCanonical(dst, u []byte) []byte {
	host, path, ok := splitHTTP(u)
	if !ok {
		return append(dst, u...)
	}
	start := len(dst)
	name, port := splitPort(u[host:path])
	dst = append(append(dst, u[:host]...), name...)
	lower(dst[start:])
	if len(port) > 0 && string(port) != wire.DefaultPort(string(dst[start:start+host-len("://")])) {
		dst = append(append(dst, ':'), port...)
	}
	if path == len(u) || u[path] != '/' {
		dst = append(dst, '/')
	}
	return wire.AppendTail(dst, u[path:])
}

// lower turns ASCII letters into lower case, in place.
func lower(s []byte) {
	for i, c := range s {
		if c-'A' < 26 {
			s[i] = c + 'a' - 'A'
		}
	}
}

// sent spells the tail of an upstream URL, which begins somewhere after its host, as it is sent.
func sent(u []byte, tail int) []byte {
	if wire.IsPlain(u[tail:]) {
		return u
	}
	if tail == 0 {
		_, tail, _ = splitHTTP(u)
	}
	return wire.AppendTail(append(make([]byte, 0, 2*len(u)), u[:tail]...), u[tail:])
}

// base is the URL of a playlist, split once for all its references (RFC 3986 section 5.2, on bytes).
type base struct {
	text   []byte // without the fragment
	scheme int    // its scheme, with the colon, is text[:scheme]
	root   int    // scheme and authority are text[:root]
	path   int    // all but the query is text[:path]
	dir    []byte // the path up to its last slash, without dot segments
	known  bool   // false: references are not resolved
	http   bool
	asked  string // the URL from which text was made
	report string // its fragment if that carries variables, with "#"; the playlist's siblings have it too
}

// set splits text. It is cheap if text has not changed.
func (b *base) set(text string) (changed bool) {
	if text == b.asked {
		return false
	}
	b.asked, b.report = text, carriedBy(text)
	b.text = append(b.text[:0], text...)
	if i := bytes.IndexByte(b.text, '#'); i >= 0 {
		b.text = b.text[:i]
	}
	b.known = len(b.text) > 0
	b.scheme = schemeLen(b.text)
	b.http = httpScheme(b.text) > 0
	b.root = authorityEnd(b.text, b.scheme)
	b.path = len(b.text)
	if i := bytes.IndexByte(b.text[b.root:], '?'); i >= 0 {
		b.path = b.root + i
	}
	path := b.text[b.root:b.path]
	path = path[:bytes.LastIndexByte(path, '/')+1]
	b.dir = append(b.dir[:0], b.text[:b.root]...)
	if len(path) == 0 && b.root > b.scheme {
		b.dir = append(b.dir, '/')
	}
	b.dir = appendClean(b.dir, b.root, path)
	if b.root == 0 {
		slashes := len(b.dir) - len(bytes.TrimLeft(b.dir, "/\\"))
		b.dir = append(b.dir[:min(slashes, 1)], b.dir[slashes:]...) // "/..//host/" does not name a host either
	}
	return true
}

// appendResolved appends the resolved reference.
func (b *base) appendResolved(dst, ref []byte) []byte {
	if !b.known {
		return append(dst, ref...)
	}
	start := len(dst)
	if n := schemeLen(ref); n > 0 {
		if httpScheme(ref) == 0 {
			return append(dst, ref...)
		}
		end := authorityEnd(ref, n)
		dst = append(dst, ref[:end]...)
		return appendClean(dst, len(dst), ref[end:])
	}
	switch {
	case len(ref) == 0 || ref[0] == '#':
		return append(append(dst, b.text...), ref...)
	case ref[0] == '?':
		return append(append(dst, b.text[:b.path]...), ref...)
	case ref[0] != '/':
		return appendClean(append(dst, b.dir...), start+b.root, ref)
	case len(ref) > 1 && ref[1] == '/':
		dst = append(dst, b.text[:b.scheme]...)
		end := authorityEnd(ref, 0)
		dst = append(dst, ref[:end]...)
		return appendClean(dst, len(dst), ref[end:])
	}
	return appendClean(append(dst, b.text[:b.root]...), start+b.root, ref)
}

// appendClean appends a path, with what follows it, to dst. dst already has a path without dot segments, which begins at root
// and, unless it is empty, ends in a slash. Dot segments of ref apply to it (section 5.2.4).
func appendClean(dst []byte, root int, ref []byte) []byte {
	path, tail := ref, []byte(nil)
	if i := bytes.IndexAny(ref, "?#"); i >= 0 {
		path, tail = ref[:i], ref[i:]
	}
	if len(path) > 0 && path[0] == '/' && len(dst) == root {
		dst, path = append(dst, '/'), path[1:]
	}
	if len(path) > 0 && path[0] != '.' && !bytes.Contains(path, []byte("/.")) {
		return append(append(dst, path...), tail...)
	}
	for len(path) > 0 {
		n := bytes.IndexByte(path, '/')
		segment, last := path, n < 0
		if !last {
			segment, path = path[:n], path[n+1:]
		}
		switch {
		case string(segment) == ".":
		case string(segment) == "..":
			if end := len(dst) - 1; end > root {
				dst = dst[:root+bytes.LastIndexByte(dst[root:end], '/')+1]
			}
		default:
			dst = append(dst, segment...)
			if !last {
				dst = append(dst, '/')
			}
		}
		if last {
			break
		}
	}
	return append(dst, tail...)
}
