package rewrite

import "bytes"

// base is the URL of a playlist, taken apart once for all its references (RFC 3986 section 5.2, on bytes).
type base struct {
	text   []byte // without the fragment
	scheme int    // its scheme, colon included, is text[:scheme]
	root   int    // scheme and authority are text[:root]
	path   int    // all but the query is text[:path]
	dir    []byte // up to the last slash of the path, dot segments removed
	known  bool   // false: references are not resolved
	http   bool
	asked  string // what text was made of
}

// set takes text apart; it is cheap if text is what it was.
func (b *base) set(text string) (changed bool) {
	if text == b.asked {
		return false
	}
	b.asked = text
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
		b.dir = append(b.dir[:min(slashes, 1)], b.dir[slashes:]...) // "/..//host/" is no host either
	}
	return true
}

// appendResolved appends the reference, resolved.
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

// appendClean appends a path with whatever follows it to dst, in which a path without dot segments begins at root and,
// unless it is empty, ends in a slash; dot segments take effect on it (section 5.2.4).
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
