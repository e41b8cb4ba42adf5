package sign

import (
	"crypto/hmac"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/ignored"
	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// Verify returns what the token of r grants, one of the errors of this package, or the error of Config.Refuse. It must see the
// path and the query of r.URL as the client sent them: outside of http.StripPrefix.
func (s *Signer) Verify(r *http.Request) (Grant, error) {
	in, err := s.verify(r)
	if err != nil {
		return Grant{}, err
	}
	return in.grant, nil
}

func (s *Signer) verify(r *http.Request) (in *session, err error) {
	defer caught(&err)
	in, err = s.find(r)
	if err != nil {
		return nil, err
	}
	if s.config.Refuse != nil {
		if err := s.config.Refuse(r, in.grant); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// find prefers a token in the query to a cookie.
func (s *Signer) find(r *http.Request) (*session, error) {
	switch text, count := link.FindParam(r.URL.RawQuery, s.config.Param); count {
	case 0:
		return s.verifyCookie(r)
	case 1:
		return s.verifyToken(r, text)
	}
	return nil, ErrBadToken
}

// verifyToken reveals nothing about a token before its MAC is known to be right.
func (s *Signer) verifyToken(r *http.Request, text string) (*session, error) {
	head, raw, mac, ok := parseToken(text)
	if !ok || r.URL.User != nil { // no client sends user information, and servers read it differently
		return nil, ErrBadToken
	}
	key := s.verifying(head.key)
	if key == nil {
		return nil, ErrBadToken
	}
	whole := []byte(r.URL.EscapedPath())
	if len(whole) == 0 {
		whole = []byte("/")
	}
	path := whole
	if head.directory {
		if path, ok = link.Ancestor(whole, head.depth); !ok || s.isAlone(whole) || hls.CarriesVariables([]byte(r.URL.RawQuery)) {
			return nil, ErrBadToken
		}
	}
	if s.config.Claims != nil {
		head.grant.Claims = s.config.Claims(r)
	}
	m := key.get()
	defer key.put(m)
	m.message = appendPrefix(m.message[:0], raw, head.grant.Claims)
	if head.directory {
		m.message = appendDirectory(m.message, path)
	} else {
		m.message = appendExact(m.message, path, []byte(r.URL.RawQuery), r.URL.RawQuery != "", &s.config)
	}
	if !hmac.Equal(m.authenticate(), mac) || head.directory && !link.Plain(whole) {
		return nil, ErrBadToken
	}
	now := time.Now()
	if err := s.inTime(now, &head.grant, whole); err != nil {
		return nil, err
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions {
		return nil, ErrMethod
	}
	in := &session{grant: head.grant, since: now, signer: s, key: head.key}
	if head.directory {
		in.tree = path
		in.own = s.ownToken(&head, path, text)
		in.tokens = append(in.tokens, in.own)
	}
	return in, nil
}

// inTime applies the end of the grant, or the end of its renewal for a path that is fetched again and again.
func (s *Signer) inTime(now time.Time, g *Grant, path []byte) error {
	end := g.Expires
	if g.Until.After(end) && isRenewed(path) {
		end = g.Until
	}
	switch {
	case now.After(end.Add(s.skew)):
		return ErrExpired
	case !g.NotBefore.IsZero() && now.Before(g.NotBefore.Add(-s.skew)):
		return ErrTooEarly
	}
	return nil
}

// ownToken makes links below the directory of the request's token carry that token.
func (s *Signer) ownToken(head *header, dir []byte, text string) *directoryToken {
	c := &directoryToken{signer: s, deep: true, prefix: dir, dir: dir, depth: head.depth, text: append(append([]byte(nil), s.mark...), text...)}
	if !head.grant.Until.IsZero() {
		c.kind = kindPlaylist
	}
	return c
}

// Handler passes requests with a valid token to next. In URL and RequestURI, next sees neither the token nor the parameters of
// Config.Ignore; all other bytes stay. FromContext returns the grant there. All other requests are refused, always with
// Cache-Control: no-store: with 401 if there is no token, with 403 if it is not valid or has expired (410 if Config.Gone is
// set), and with 405 if it is for reading and the method is not. Mount Handler inside the CORS middleware, because preflights
// carry no token.
func (s *Signer) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.config.Cookies != 0 {
			w.Header().Add("Vary", "Cookie") // a shared cache must not give others what a cookie has opened
		}
		in, err := s.verify(r)
		if err != nil {
			s.refuse(w, err)
			return
		}
		s.renewCookie(w, in)
		next.ServeHTTP(w, s.strip(r, in))
	})
}

// strip returns a copy of r without the token.
func (s *Signer) strip(r *http.Request, in *session) *http.Request {
	ctx := ignored.With(in.into(r.Context()), s.config.Ignore)
	out := stripRequest(r.WithContext(ctx), s.config.Param)
	setQuery(out, ignored.Strip(out.URL.RawQuery, s.config.Ignore))
	if in.own == nil { // the query is free under a token of a directory
		setQuery(out, hls.WithoutUnknown(out.URL.RawQuery)) // what no player adds can only be meant to split the key of a cache
	}
	out.Header = s.stripCookie(r.Header)
	return out
}

// stripRequest removes a parameter from a request that shares its URL with another.
func stripRequest(r *http.Request, param string) *http.Request {
	u := *r.URL
	if u.RawQuery != "" {
		var mark bool
		u.RawQuery, mark = link.StripParam(u.RawQuery, param)
		u.ForceQuery = mark && u.RawQuery == ""
	}
	r.URL = &u
	r.RequestURI = link.StripURI(r.RequestURI, param)
	return r
}

// setQuery changes the query of r. r must not share its URL.
func setQuery(r *http.Request, query string) {
	if query != r.URL.RawQuery {
		r.URL.RawQuery, r.URL.ForceQuery = query, false
		path, _, _ := strings.Cut(r.RequestURI, "?")
		if query != "" {
			path += "?" + query
		}
		r.RequestURI = path
	}
}

func (s *Signer) refuse(w http.ResponseWriter, err error) {
	status := statusOf(err)
	if s.config.Gone && errors.Is(err, ErrExpired) {
		status = http.StatusGone
	}
	writeRefusal(w, status, s.config.Param) // no browser asks the user for this scheme
}
