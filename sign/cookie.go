package sign

import (
	"errors"
	"iter"
	"net/http"
	"strings"

	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// Cookie returns a cookie that opens the directory of rawURL, a path-absolute or absolute URL, as long as g says. A handler
// that has admitted a viewer sets it before the page requests the first playlist. Its name is Config.Param. It is Secure and
// HttpOnly, is valid for the host that sets it, and has the SameSite of Config.Cookies, without which this is an error. Claims
// and Config.Alone apply as for any token of a directory.
//
// A handler that admits by the cookie renews it at each step of the expiry grid while Config.Renew allows, so that media stay
// open, too. Pages of another origin need CORS with credentials.
func (s *Signer) Cookie(g Grant, rawURL string) (*http.Cookie, error) {
	if s.config.Cookies == 0 {
		return nil, errors.New("sign: Config.Cookies is not set")
	}
	if !g.fits() {
		return nil, errGrant
	}
	p, ok := link.Split(link.Escape(rawURL))
	if !ok {
		return nil, ErrURL
	}
	path := p.EscapedPath()
	dir, ok := g.directoryOf(path)
	if !ok || link.DepthOf(dir) > longestDepth || !link.Plain(path) {
		return nil, ErrURL
	}
	return s.cookieFor(&session{}, g, dir, link.DepthOf(dir)), nil
}

func (s *Signer) cookieFor(in *session, g Grant, dir []byte, depth int) *http.Cookie {
	expires := g.Expires
	if g.Until.After(expires) {
		expires = g.Until
	}
	return &http.Cookie{
		Name: s.config.Param, Value: string(s.signDirectory(s.signing(in), g, g.Claims, dir, depth)[len(s.mark):]),
		Path: string(dir), Expires: expires.Add(s.skew), Secure: true, HttpOnly: true, SameSite: s.config.Cookies, Partitioned: s.config.Partitioned,
	}
}

// mostCookies is how many cookies of one name are checked; a browser sends one for each directory above the path.
const mostCookies = 8

// verifyCookie accepts the first cookie that is a valid token of a directory.
func (s *Signer) verifyCookie(r *http.Request) (*session, error) {
	if s.config.Cookies == 0 {
		return nil, ErrNoToken
	}
	refused := ErrNoToken
	for i, c := range r.CookiesNamed(s.config.Param) {
		if i == mostCookies {
			break
		}
		in, err := s.verifyToken(r, c.Value)
		switch {
		case err == nil && in.own != nil:
			in.cookie, in.tokens = true, nil // the content of HttpOnly cookies must not appear in links
			return in, nil
		case err == nil:
			err = ErrBadToken // a link of the query: anyone could plant it as a cookie
		}
		if !errors.Is(refused, ErrExpired) {
			refused = err
		}
	}
	return nil, refused
}

// renewCookie gives a session that may go on a new cookie, if the grid has a later expiry.
func (s *Signer) renewCookie(w http.ResponseWriter, in *session) {
	g := in.grant
	if !in.cookie || g.Until.IsZero() {
		return
	}
	if g.Expires = s.renewed(in); !g.Expires.After(in.grant.Expires) {
		return
	}
	http.SetCookie(w, s.cookieFor(in, g, in.own.dir, in.own.depth))
}

// stripCookie removes the signer's cookies from header and keeps the others.
func (s *Signer) stripCookie(header http.Header) http.Header {
	lines := header["Cookie"]
	if s.config.Cookies == 0 || len(lines) == 0 {
		return header
	}
	var kept []string
	for name, pair := range cookiePairs(lines) {
		if name != s.config.Param {
			kept = append(kept, pair)
		}
	}
	header = header.Clone()
	header.Del("Cookie")
	if len(kept) > 0 {
		header.Set("Cookie", strings.Join(kept, "; "))
	}
	return header
}

// cookiePairs are the pairs of Cookie fields (RFC 6265 section 4.2.1), each with its name.
func cookiePairs(lines []string) iter.Seq2[string, string] {
	return func(yield func(name, pair string) bool) {
		for _, line := range lines {
			for pair := range strings.SplitSeq(line, ";") {
				pair = strings.TrimSpace(pair)
				if name, _, _ := strings.Cut(pair, "="); pair != "" && !yield(name, pair) {
					return
				}
			}
		}
	}
}
