package sign

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/sign/internal/expiry"
	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// A Signer makes and verifies links. [New] makes a Signer. Any number of goroutines may use it.
type Signer struct {
	config Config
	step   time.Duration // of the expiry grid
	skew   time.Duration
	mark   []byte // "param="
	ring   atomic.Pointer[[]*ringKey]
	anyone atomic.Pointer[session] // for Sign if the context has no grant

	numbered bool // see Config.hasDigits
}

// New returns a Signer for c, or an error that joins all faults of c.
func New(c Config) (*Signer, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Signer{
		config: c,
		step:   expiry.StepOf(c.TTL),
		skew:   min(greatestSkew, c.TTL/2),
		mark:   []byte(c.Param + "="),

		numbered: c.hasDigits(),
	}
	return s, s.Rotate(c.Keys)
}

// Rotate replaces the keys while the signer is in use: the first key signs new sessions from now on, and all keys verify.
// Running sessions keep the key they began with, and so the spelling of their links, until it is dropped. If Rotate returns an
// error, the old keys stay.
func (s *Signer) Rotate(keys []Key) error {
	if err := checkKeys(keys); err != nil {
		return err
	}
	ring := newRing(keys)
	s.ring.Store(&ring)
	s.anyone.Store(nil)
	return nil
}

// signing returns the key that signs in a session.
func (s *Signer) signing(in *session) *ringKey {
	if in.signer == s {
		if k := s.verifying(in.key); k != nil {
			return k
		}
	}
	return (*s.ring.Load())[0]
}

// verifying returns the key with this id, or nil.
func (s *Signer) verifying(id string) *ringKey {
	for _, k := range *s.ring.Load() {
		if k.id == id {
			return k
		}
	}
	return nil
}

// URL returns rawURL, a path-absolute or absolute http(s) URL, with a token that begins a session: the entry link for a page.
// Bytes that are invalid in a URL are escaped. The error is ErrURL for a URL that cannot be signed. With Config.Claims it is
// ErrNoViewer, because the link would not be bound to a viewer: see URLFor.
func (s *Signer) URL(rawURL string) (string, error) { return s.URLFor(nil, rawURL) }

// URLFor is URL for the viewer that sends r, usually the request for the page with the link. Requests for the link must have
// the same Config.Claims.
func (s *Signer) URLFor(r *http.Request, rawURL string) (string, error) {
	g, err := s.Grant(r)
	if err != nil {
		return "", err
	}
	return s.URLUnder(g, rawURL)
}

var errGrant = errors.New("sign: a grant needs an expiry, times between 1970 and 36812, a session of at most 255 bytes " +
	"and a directory that is a path with both slashes, or none")

// URLUnder is URL with a grant of the caller: with other times, a session id, or claims that are known without a request.
func (s *Signer) URLUnder(g Grant, rawURL string) (string, error) {
	if !g.fits() {
		return "", errGrant
	}
	in := &session{grant: g, entry: true, tree: []byte(g.Directory), free: g.Directory == ""}
	out, err := s.signUnder(in, link.Escape(rawURL))
	return string(out), err
}

// Grant returns a new grant for the viewer of r, with the times that URL uses. Its fields may be changed before it is used. r
// may be nil if there are no Config.Claims.
func (s *Signer) Grant(r *http.Request) (Grant, error) {
	now := time.Now()
	g := Grant{Expires: s.grid(now, s.config.TTL)}
	if s.config.Renew != 0 {
		g.Until = s.grid(now, s.config.Renew)
	}
	if s.config.Claims != nil {
		if r == nil {
			return Grant{}, ErrNoViewer
		}
		g.Claims = s.config.Claims(r)
	}
	return g, nil
}

// grid returns the first point of the expiry grid that is at least d after t.
func (s *Signer) grid(t time.Time, d time.Duration) time.Time { return expiry.After(t, d, s.step) }

// Sign appends a token to public, a path-absolute or absolute http(s) URL, before its fragment if it has one, and returns the
// extended slice. The result shares the array of public if there is room, unless its path has bytes that clients escape
// differently: these are escaped. Use it for the Sign field of a playlist rewriter. The error is ErrURL for a URL that cannot
// be signed.
//
// The token carries the expiry and the claims of the grant in ctx, which must be the context of the request for the playlist.
// Without a grant, the link expires after TTL and has no claims. With Config.Claims the error is then ErrNoViewer.
//
// With the scope Directory, URLs below the directory of the request's own token get that very token. All others get a token for
// themselves alone, because the playlist chooses them: URLs elsewhere, URLs with an ambiguous path, URLs that carry variables
// of a multivariant playlist, and those that Config.Alone names. Without a token in the request, each URL gets one for its
// directory; see Grant.Directory.
//
// If public already has a parameter with the name of Config.Param, it belongs to another service, such as an origin that uses
// this package. In the link its name ends in a dot. Handler removes that dot.
func (s *Signer) Sign(ctx context.Context, public []byte) ([]byte, error) {
	in, ok := sessionOf(ctx, s)
	if !ok {
		var err error
		if in, err = s.forAnyone(); err != nil {
			return public, err
		}
	}
	return s.signUnder(in, public)
}

// SignAlike tells a playlist rewriter that it need not call Sign for each URL. It returns true if Sign appends the same bytes
// to all URLs that differ from public only in digits, of the file name before the extension or of the query. This is so for
// most URLs that get the token of a directory, once Sign has been called for one of them.
func (s *Signer) SignAlike(ctx context.Context, public []byte) bool {
	if s.config.Scope != Directory || s.numbered || bytes.IndexByte(public, '%') >= 0 { // other digits could form another escape
		return false
	}
	in, ok := sessionOf(ctx, s)
	if !ok {
		in = s.anyone.Load()
	}
	if in == nil {
		return false
	}
	for i := range in.recent {
		if t := in.recent[i].Load(); t != nil && t.signer == s {
			if _, ok := t.extendPlainly(public); ok {
				return true
			}
		}
	}
	return false
}

// SignsVariables tells a playlist rewriter that no client can change the variables of a multivariant playlist in a link.
func (s *Signer) SignsVariables() bool { return true }

// hasDigits reports whether digits of a URL decide which token it gets, or whether it gets one.
func (c *Config) hasDigits() bool {
	return strings.ContainsAny(c.Param+strings.Join(c.Alone, ""), link.Digits)
}

// forAnyone returns the session for links without a grant. It is another one at each step of the grid.
func (s *Signer) forAnyone() (*session, error) {
	g, err := s.Grant(nil)
	if err != nil {
		return nil, err
	}
	if in := s.anyone.Load(); in != nil && in.grant == g {
		return in, nil
	}
	in := &session{grant: g, since: time.Now(), free: true}
	s.anyone.Store(in)
	return in, nil
}

func (s *Signer) signUnder(in *session, public []byte) ([]byte, error) {
	byCookie := in.admittedByCookie(s)
	if s.config.Scope == Exact && !byCookie {
		if signed, ok := s.signPlainly(in, public); ok {
			return signed, nil
		}
	}
	for i := range in.recent {
		if t := in.recent[i].Load(); t != nil && t.signer == s {
			if signed, ok := t.extendPlainly(public); ok {
				return signed, nil
			}
		}
	}
	p, ok := link.Split(public)
	if !ok {
		return public, ErrURL
	}
	p.EscapePath()
	query, _ := p.Query()
	if link.MeansParam(query, s.config.Param) {
		p.KeepParam(s.config.Param)
		query, _ = p.Query()
	}
	path := p.EscapedPath()
	if (s.config.Scope == Directory || byCookie) && link.Plain(path) && !s.isAlone(path) && !hls.CarriesVariables(query) {
		if in.isFree(s, &p, path) {
			return p.Text, nil
		}
		if s.config.Scope == Directory && in.mayOpen(path) {
			if t := s.directoryTokenFor(in, &p, path); t != nil {
				return p.Insert(t.text), nil
			}
		}
	}
	return s.signExact(in, &p, path), nil
}

// signExact gives the URL a token for itself alone. path is its path as a server sees it.
func (s *Signer) signExact(in *session, p *link.URL, path []byte) []byte {
	b := s.prefixFor(in, in.kindOf(path))
	m := b.key.get()
	defer b.key.put(m)
	query, hasQuery := p.Query()
	m.message = appendExact(append(m.message[:0], b.message...), path, query, hasQuery, &s.config)
	if p.IsEnd() {
		return m.appendParam(p.Separate(), &b.start)
	}
	return p.Insert(m.appendParam(nil, &b.start))
}

// signPlainly is signExact for most URLs. If it returns false, the URL needs a closer look.
func (s *Signer) signPlainly(in *session, public []byte) ([]byte, bool) {
	path, query, ok := link.SplitPlainly(public, s.config.Param)
	if !ok || len(s.config.Ignore) > 0 && query < len(public) {
		return public, false
	}
	b := s.prefixFor(in, in.kindOf(public[path:query]))
	m := b.key.get()
	defer b.key.put(m)
	m.message = appendWhole(append(m.message[:0], b.message...), public[path:query], public[query:])
	separator := byte('?')
	if query < len(public) {
		separator = '&'
	}
	return m.appendParam(append(public, separator), &b.start), true
}

// prefix is the beginning of the message and of the token. It is the same for all links of a kind in a session.
type prefix struct {
	ring    *[]*ringKey // that key was chosen from
	key     *ringKey
	message []byte
	start   start
}

func (s *Signer) prefixFor(in *session, kind int) *prefix {
	ring := s.ring.Load()
	if b := in.prefix[kind&1].Load(); b != nil && b.ring == ring {
		return b
	}
	key := s.signing(in)
	head := header{key: key.id, grant: s.inherit(in, kind != kindMedia)}
	raw := head.append(nil)
	b := &prefix{ring: ring, key: key, message: appendPrefix(nil, raw, in.grant.Claims), start: newStart(s.mark, raw)}
	in.prefix[kind&1].Store(b)
	return b
}

// inherit returns the grant of a link in a playlist of a session. It is the same grant, unless the session can be renewed: then
// media gets a new expiry, while a playlist keeps its link.
func (s *Signer) inherit(in *session, renewed bool) Grant {
	g := in.grant
	if renewed || in.entry || g.Until.IsZero() {
		return g
	}
	g.Expires, g.Until = s.renewed(in), time.Time{}
	return g
}

// renewed is the expiry of media in a session that can be renewed.
func (s *Signer) renewed(in *session) time.Time {
	end := s.grid(in.since, s.config.TTL)
	if in.grant.Expires.After(end) {
		end = in.grant.Expires
	}
	if end.After(in.grant.Until) {
		end = in.grant.Until
	}
	return end
}

// isAlone reports whether a segment of path has an ending from Config.Alone, in any spelling that a server may accept: escaped
// any number of times, in capitals, with path parameters, or with more path after it (as in CGI).
func (s *Signer) isAlone(path []byte) bool {
	for _, ending := range s.config.Alone {
		if link.NamesEnding(path, ending) {
			return true
		}
	}
	return false
}

// directoryTokenFor returns the token for the tree of the session, or for what lies beside path. It makes the token when it is
// first needed. Which token that is does not depend on what else a playlist names, so that a link keeps its spelling when a
// live playlist moves on.
func (s *Signer) directoryTokenFor(in *session, p *link.URL, path []byte) *directoryToken {
	kind := in.kindOf(path)
	in.mu.Lock()
	defer in.mu.Unlock()
	dir := in.tree
	if len(dir) == 0 {
		dir, _ = link.DirectoryOf(path)
	}
	for _, t := range in.tokens {
		if t.signer == s && (t.kind == kind || t.kind == kindAny) && bytes.Equal(dir, t.dir) {
			in.recent[kind&1].Store(t)
			return t
		}
	}
	depth := link.DepthOf(dir)
	if depth > longestDepth {
		return nil
	}
	t := &directoryToken{
		signer: s, kind: kind, depth: depth, deep: len(in.tree) > 0, dir: bytes.Clone(dir), prefix: append(bytes.Clone(p.Root()), dir...),
	}
	t.text = s.signDirectory(s.signing(in), s.inherit(in, kind != kindMedia), in.grant.Claims, t.dir, depth)
	if len(in.tokens) >= maxTokens {
		in.tokens = slices.DeleteFunc(in.tokens, func(t *directoryToken) bool { return t != in.own })
	}
	in.tokens = append(in.tokens, t)
	in.recent[kind&1].Store(t)
	return t
}

// signDirectory returns param=token for everything below dir.
func (s *Signer) signDirectory(key *ringKey, g Grant, claims string, dir []byte, depth int) []byte {
	head := header{key: key.id, grant: g, directory: true, depth: depth}
	raw := head.append(nil)
	m := key.get()
	defer key.put(m)
	m.message = appendDirectory(appendPrefix(m.message[:0], raw, claims), dir)
	begin := newStart(s.mark, raw)
	return m.appendParam(nil, &begin)
}
