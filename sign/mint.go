package sign

import (
	"errors"
	"net/http"
)

// URL returns rawURL, a path-absolute or absolute http(s) URL, with a token that begins a session: the entry link for a
// page. Bytes that have no place in a URL are escaped. ErrURL for what cannot be signed; ErrNoViewer if Config.Claims is
// set, since the link would be bound to nobody: see URLFor.
func (s *Signer) URL(rawURL string) (string, error) { return s.URLFor(nil, rawURL) }

// URLFor is URL for the viewer who sends r, typically the request for the page that shows the link. Whoever opens the link
// must have the same Config.Claims.
func (s *Signer) URLFor(r *http.Request, rawURL string) (string, error) {
	g, err := s.Grant(r)
	if err != nil {
		return "", err
	}
	return s.URLUnder(g, rawURL)
}

var errGrant = errors.New("sign: a grant needs an expiry, times between 1970 and 36812, a session of at most 255 bytes and a directory that is a path with both slashes, or none")

// URLUnder is URL with a grant of the caller's making: other times, a session id, claims that are known without a request.
func (s *Signer) URLUnder(g Grant, rawURL string) (string, error) {
	if !g.fits() {
		return "", errGrant
	}
	h := &session{grant: g, entry: true, tree: []byte(g.Directory), free: g.Directory == ""}
	out, err := s.signUnder(h, escapeURL(rawURL))
	return string(out), err
}

// escapeURL escapes what a client would escape in its own way, or end the URL at.
func escapeURL(u string) []byte {
	dst := make([]byte, 0, len(u)+128)
	odd := &oddInPath
	for i := range len(u) {
		c := u[i]
		switch {
		case c == '?' || c == '#':
			odd = &oddInQuery
			dst = append(dst, c)
		case odd[c] != 0 && (c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' || odd == &oddInPath):
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
