package sign

import (
	"bytes"
	"net/url"
)

// parts are the places in a URL where its path, its query and its fragment begin.
type parts struct {
	url   []byte
	path  int
	query int // of the question mark, or end
	end   int // of the number sign, or the length
}

// split finds the parts of a path-absolute or absolute http(s) URL.
func split(u []byte) (parts, bool) {
	p := parts{url: u, end: len(u)}
	if i := bytes.IndexByte(u, '#'); i >= 0 {
		p.end = i
	}
	p.query = p.end
	if i := bytes.IndexByte(u[:p.end], '?'); i >= 0 {
		p.query = i
	}
	start := 0
	switch {
	case bytes.HasPrefix(u, []byte("//")):
		start = 2
	case p.query > 0 && u[0] == '/':
		return p, true
	default:
		if start = schemeLen(u[:p.query]); start == 0 {
			return p, false
		}
	}
	if start >= p.query || u[start] == '/' {
		return p, false // no host
	}
	p.path = p.query
	if i := bytes.IndexByte(u[start:p.query], '/'); i >= 0 {
		p.path = start + i
	}
	return p, true
}

// splitPlainly is split for most URLs: path-absolute, without a fragment, with a path that counts as it stands and a query
// of which isWhole is true. Not ok means to look closer.
func splitPlainly(u []byte, param string) (p parts, ok bool) {
	p = parts{url: u, query: len(u), end: len(u)}
	if len(u) < 2 || u[0] != '/' || u[1] == '/' {
		return p, false
	}
	if i := bytes.IndexByte(u, '?'); i >= 0 {
		if p.query = i; !isWhole(u[i+1:], param) {
			return p, false
		}
	}
	return p, !hasOdd(u[:p.query], &oddInPath)
}

// schemeLen returns the length of http:// or https:// at the beginning of u, or 0.
func schemeLen(u []byte) int {
	for _, scheme := range [...]string{"https://", "http://"} {
		if len(u) > len(scheme) && bytes.EqualFold(u[:len(scheme)], []byte(scheme)) {
			return len(scheme)
		}
	}
	return 0
}

// pathBytes returns the path as a client requests it and a server sees it in URL.EscapedPath.
func (p *parts) pathBytes() []byte {
	path := p.url[p.path:p.query]
	if len(path) == 0 {
		return []byte("/")
	}
	if !hasOdd(path, &oddInPath) {
		return path
	}
	u := url.URL{}
	if text, err := url.PathUnescape(string(path)); err == nil {
		u.Path, u.RawPath = text, string(path)
		return []byte(u.EscapedPath())
	}
	return path
}

// rawQuery returns the query, and whether there is one, if only an empty one.
func (p *parts) rawQuery() ([]byte, bool) {
	if p.query == p.end {
		return nil, false
	}
	return p.url[p.query+1 : p.end], true
}

// class is a set of bytes: 1 for those in it.
type class [256]uint8

func hasOdd(b []byte, odd *class) bool {
	if len(b) < 8 {
		for _, c := range b {
			if odd[c] != 0 {
				return true
			}
		}
		return false
	}
	any := odd.has((*[8]byte)(b[len(b)-8:])) // some of which come twice
	for ; len(b) > 8; b = b[8:] {
		any |= odd.has((*[8]byte)(b))
	}
	return any != 0
}

func (odd *class) has(b *[8]byte) uint8 {
	return odd[b[0]] | odd[b[1]] | odd[b[2]] | odd[b[3]] | odd[b[4]] | odd[b[5]] | odd[b[6]] | odd[b[7]]
}

// oddInPath are the bytes that URL.EscapedPath does not leave as they are, oddInQuery those that browsers escape in the
// query of an http URL. They have one escaped spelling, which is what is signed. oddInParam adds the ampersand to those.
var (
	oddInPath  = not(unreserved + "%!$&'()*+,;=:@/[]")
	oddInQuery = not(unreserved + "%!$&()*+,;=:@/[]?^`{|}\\")
	oddInParam = not(unreserved + "%!$()*+,;=:@/[]?^`{|}\\")
)

func not(set string) (c class) {
	for i := range c {
		c[i] = 1
	}
	for i := range len(set) {
		c[set[i]] = 0
	}
	return c
}
