package link

import (
	"bytes"
	"errors"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// ErrURL is returned for a URL that cannot be signed: it is neither path-absolute nor http(s)://, or servers read it
// differently.
var ErrURL = errors.New("sign: not a URL that can be signed")

// IsOdd reports whether Spell would change the URL.
func (p *URL) IsOdd() bool {
	query, _ := p.Query()
	return HasOdd(p.Path(), &OddInPath) || HasOdd(query, &oddSent) || hasStray(p.Path()) || hasStray(query)
}

// hasStray reports whether there is a percent sign that begins no escape.
func hasStray(text []byte) bool {
	for i := bytes.IndexByte(text, '%'); i >= 0; i = bytes.IndexByte(text, '%') {
		if !wire.IsEscape(text[i:]) {
			return true
		}
		text = text[i+3:]
	}
	return false
}

// Spell escapes, in path and query, what clients spell differently, as browsers do (WHATWG URL, section 4.4). It also escapes
// percent signs that begin no escape, because servers read them differently. Then all clients send the same, and all servers
// read the same.
func (p *URL) Spell() {
	if !p.IsOdd() {
		return
	}
	path := appendSpelled(bytes.Clone(p.Root()), bytes.ReplaceAll(p.Path(), []byte{'\\'}, []byte{'/'}), &OddInPath)
	var query []byte
	if q, ok := p.Query(); ok {
		query = appendSpelled([]byte{'?'}, q, &oddSent)
	}
	p.replace(path, query)
}

func appendSpelled(dst, text []byte, odd *Class) []byte {
	for i, c := range text {
		switch {
		case c == '\t' || c == '\n' || c == '\r': // no client sends them
		case odd[c] != 0 || c == '%' && !wire.IsEscape(text[i:]):
			dst = append(dst, '%', wire.UpperHex[c>>4], wire.UpperHex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// replace changes the path and the query of the URL. Both are inserted as they are.
func (p *URL) replace(upToPath, query []byte) {
	fragment := p.Fragment()
	text := append(append(upToPath, query...), fragment...)
	p.query, p.end, p.Text = len(upToPath), len(upToPath)+len(query), text
}

// DropParams removes the parameters whose names, as they are spelled, are dropped.
func (p *URL) DropParams(dropped func(name string) bool) {
	query, ok := p.Query()
	if !ok {
		return
	}
	var kept [][]byte
	all := bytes.Split(query, []byte{'&'})
	for _, q := range all {
		if name, _, _ := bytes.Cut(q, []byte{'='}); !dropped(string(name)) {
			kept = append(kept, q)
		}
	}
	switch {
	case len(kept) == len(all):
	case len(kept) == 0:
		p.replace(bytes.Clone(p.Text[:p.query]), nil)
	default:
		p.replace(bytes.Clone(p.Text[:p.query]), append([]byte{'?'}, bytes.Join(kept, []byte{'&'})...))
	}
}

// DropEmptyQuery removes a question mark that nothing follows.
func (p *URL) DropEmptyQuery() {
	if query, ok := p.Query(); ok && len(query) == 0 {
		p.replace(bytes.Clone(p.Text[:p.query]), nil)
	}
}

// SentPath returns the path in the request of a client.
func (p *URL) SentPath() string {
	if len(p.Path()) == 0 {
		return "/"
	}
	return string(p.Path())
}

// AsSent returns what a client asks for, without the fragment. With hosts, it is the whole URL without user information. Its
// scheme and host are then in the spelling by which they are compared (RFC 3986, section 6.2.2.1 and 6.2.3).
func (p *URL) AsSent(hosts bool) string {
	rest := p.SentPath() + string(p.Text[p.query:p.end])
	if !hosts {
		return rest
	}
	scheme, host, _ := strings.Cut(strings.ToLower(string(p.Root())), "://")
	return scheme + "://" + wire.Host(scheme, host[strings.LastIndexByte(host, '@')+1:]) + rest
}

// Dotless reports whether no segment of a path is a dot segment, or holds a slash, a backslash or NUL in disguise, however
// often escaped.
func Dotless(path []byte) bool {
	for segment := range bytes.SplitSeq(path, []byte{'/'}) {
		if !isPlainSegment(segment) {
			return false
		}
	}
	return true
}
