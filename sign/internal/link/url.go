// Package link reads and extends the text of public URLs, byte for byte. It never parses a URL and writes it anew, because a
// signature covers the bytes.
package link

import (
	"bytes"
	"net/url"
)

// A URL is the text of a path-absolute or absolute http(s) URL, and where its path, its query and its fragment begin.
type URL struct {
	Text  []byte
	path  int
	query int // of the question mark, or end
	end   int // of the number sign, or the length
}

// Split finds the parts of a path-absolute or absolute http(s) URL.
func Split(u []byte) (URL, bool) {
	p := URL{Text: u, end: len(u)}
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

// SplitPlainly is Split for most URLs: without a fragment, with a path that needs no escapes and a query that AppendQuery
// keeps whole if there is nothing to ignore. The path is u[path:query]. u[query:] is the query with its question mark, or empty.
// If it returns false, the URL needs a closer look.
func SplitPlainly(u []byte, param string) (path, query int, ok bool) {
	has := inPlain.in(u)
	if len(u) == 0 || has&odd != 0 {
		return 0, 0, false
	}
	query = len(u)
	if has&question != 0 {
		query = bytes.IndexByte(u, '?')
		if !beginsWhole(u[query+1:], param, has&ampersand != 0) {
			return 0, 0, false
		}
	}
	if u[0] != '/' || len(u) > 1 && u[1] == '/' {
		start := schemeLen(u[:query])
		path = start + bytes.IndexByte(u[start:query], '/')
		return path, query, start > 0 && path > start
	}
	return 0, query, true
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

// HasHost reports whether the URL names a host, with a scheme or without.
func (p *URL) HasHost() bool { return p.path > 0 }

// IsBare reports whether the URL has no query.
func (p *URL) IsBare() bool { return p.query == p.end }

// IsAbsolute reports whether the URL begins with a scheme.
func (p *URL) IsAbsolute() bool { return p.path > 0 && p.Text[0] != '/' }

// Root returns the URL up to its path. It is empty for a path-absolute URL.
func (p *URL) Root() []byte { return p.Text[:p.path] }

// Path returns the path as it is spelled.
func (p *URL) Path() []byte { return p.Text[p.path:p.query] }

// Directory returns the URL up to the last slash of its path.
func (p *URL) Directory() []byte { return p.Text[:p.path+bytes.LastIndexByte(p.Path(), '/')+1] }

// WithoutFragment returns the URL up to its number sign.
func (p *URL) WithoutFragment() []byte { return p.Text[:p.end] }

// Fragment returns the fragment with its number sign, if there is one.
func (p *URL) Fragment() []byte { return p.Text[p.end:] }

// Tail returns what follows the path.
func (p *URL) Tail() []byte { return p.Text[p.query:] }

// EscapedPath returns the path as a client requests it and a server sees it in URL.EscapedPath.
func (p *URL) EscapedPath() []byte {
	path := p.Path()
	if len(path) == 0 {
		return []byte("/")
	}
	if !HasOdd(path, &OddInPath) {
		return path
	}
	u := url.URL{}
	if text, err := url.PathUnescape(string(path)); err == nil {
		u.Path, u.RawPath = text, string(path)
		return []byte(u.EscapedPath())
	}
	return path
}

// EscapePath escapes the bytes of the path that clients escape differently, as Escape does.
func (p *URL) EscapePath() {
	if HasOdd(p.Path(), &OddInPath) {
		path := Escape(string(p.Path()))
		p.replace(append(bytes.Clone(p.Root()), path...), p.Text[p.query:p.end])
	}
}

// Query returns the query, and whether there is one. It may be empty.
func (p *URL) Query() ([]byte, bool) {
	if p.query == p.end {
		return nil, false
	}
	return p.Text[p.query+1 : p.end], true
}

// Separate returns the URL without its fragment, ready for a parameter to follow.
func (p *URL) Separate() []byte {
	if p.query == p.end {
		return append(p.Text[:p.end], '?')
	}
	return append(p.Text[:p.end], '&')
}

// IsEnd reports whether parameters can be appended to the URL. It then has no fragment.
func (p *URL) IsEnd() bool { return p.end == len(p.Text) }

// Insert returns the URL with param after its parameters. It may write to the array of Text.
func (p *URL) Insert(param []byte) []byte {
	if p.IsEnd() {
		return append(p.Separate(), param...)
	}
	fragment := bytes.Clone(p.Text[p.end:])
	return append(append(p.Separate(), param...), fragment...)
}
