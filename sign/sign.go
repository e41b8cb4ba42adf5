package sign

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// Sign appends a token to public, a path-absolute or absolute http(s) URL, in front of its fragment if it has one, and
// returns the extended slice, which shares the array of public if there is room. It is the Sign hook of a playlist
// rewriter. ErrURL for what it cannot sign.
//
// The token carries the expiry and the claims of the grant in ctx, that of the request which fetched the playlist. Without
// one it expires after TTL and has no claims; with Config.Claims set it is ErrNoViewer then.
//
// With the scope Directory, URLs below the directory of the request's own token get that very token. All others get one for
// themselves alone, since it is the playlist that names them: URLs elsewhere, those whose path could mean two things, those
// that carry variables of a multivariant playlist, and those that Config.Alone names. Without a token in the request, each
// gets one for its directory; see Grant.Directory.
func (s *Signer) Sign(ctx context.Context, public []byte) ([]byte, error) {
	h, ok := sessionOf(ctx, s)
	if !ok {
		var err error
		if h, err = s.forAnyone(); err != nil {
			return public, err
		}
	}
	return s.signUnder(h, public)
}

// forAnyone returns the grant that is in force until the next step of the grid.
func (s *Signer) forAnyone() (*session, error) {
	g, err := s.Grant(nil)
	if err != nil {
		return nil, err
	}
	if h := s.anyone.Load(); h != nil && h.grant == g {
		return h, nil
	}
	h := &session{grant: g, since: time.Now(), free: true}
	s.anyone.Store(h)
	return h, nil
}

func (s *Signer) signUnder(h *session, public []byte) ([]byte, error) {
	byCookie := h.admittedByCookie(s)
	if s.config.Scope == Exact && !byCookie {
		if p, ok := splitPlainly(public, s.config.Param); ok {
			return s.signExact(h, &p, public[:p.query], true), nil
		}
	}
	for i := range h.recent {
		if c := h.recent[i].Load(); c != nil && c.signer == s {
			if signed, ok := c.extendPlainly(public); ok {
				return signed, nil
			}
		}
	}
	p, ok := split(public)
	if !ok {
		return public, ErrURL
	}
	query, _ := p.rawQuery()
	whole := isWhole(query, s.config.Param)
	if !whole && hasParam(query, s.config.Param) {
		return public, ErrURL
	}
	path := p.pathBytes()
	if (s.config.Scope == Directory || byCookie) && plain(path) && !s.isAlone(path) && !hls.CarriesVariables(query) {
		if h.isFree(s, &p, path) {
			return public, nil
		}
		if s.config.Scope == Directory && h.mayOpen(path) {
			if c := s.directoryTokenFor(h, &p, path); c != nil {
				return p.insert(c.text), nil
			}
		}
	}
	return s.signExact(h, &p, path, whole), nil
}

// signExact is most of the cost of the scope Exact. With whole, there is nothing in the query that does not count.
func (s *Signer) signExact(h *session, p *parts, path []byte, whole bool) []byte {
	b := s.prefixFor(h, s.signing(h), path)
	var room [messageRoom]byte
	message := append(room[:0], b.message...)
	if query, hasQuery := p.rawQuery(); whole {
		message = appendWhole(message, path, query, hasQuery)
	} else {
		message = appendExact(message, path, query, hasQuery, s.config.Param)
	}
	mac := b.key.authenticate(message)
	if p.end == len(p.url) {
		return b.appendToken(p.separate(), mac)
	}
	return p.insert(b.appendToken(nil, mac))
}

// bound is the beginning of the message, and of the token, that is the same for all links under one grant.
type prefix struct {
	key     *ringKey
	message []byte
	text    []byte // param=token as far as groups of three bytes are full
	rest    uint64 // of the header
	bytes   int    // in rest, at most two
}

func (s *Signer) prefixFor(h *session, key *ringKey, path []byte) *prefix {
	kind := kindAny
	if !h.grant.Until.IsZero() {
		kind = kindOf(path)
	}
	if b := h.prefix[kind&1].Load(); b != nil && b.key == key {
		return b
	}
	head := header{key: key.id, grant: s.inherit(h, kind != kindMedia)}
	raw := head.append(nil)
	full := len(raw) / 3 * 3
	b := &prefix{key: key, message: appendPrefix(nil, raw, h.grant.Claims), bytes: len(raw) - full}
	for _, c := range raw[full:] {
		b.rest = b.rest<<8 | uint64(c)
	}
	b.text = appendText(append([]byte(nil), s.mark...), raw[:full])
	h.prefix[kind&1].Store(b)
	return b
}

// appendToken appends base64url of the 16 to 18 bytes that are still to come, as one number from its upper end on.
func (b *prefix) appendToken(dst []byte, m mac) []byte {
	up := 8 * (2 - b.bytes)
	top, high, low := b.rest<<up|m[0]>>(64-up), m[0]<<up|m[1]>>(64-up), m[1]<<up
	dst = append(dst, b.text...)
	dst = binary.LittleEndian.AppendUint64(dst, letters(top<<32|high>>32))
	dst = binary.LittleEndian.AppendUint64(dst, letters(high<<16|low>>48))
	dst = binary.LittleEndian.AppendUint64(dst, letters(low))
	return dst[:len(dst)+b.bytes-2] // of the last letters, these are of what was shifted in
}

// inherit returns the grant of a link in what was fetched under h: the same, except that a renewed session gives media new
// time and no more than that, while a playlist keeps its link.
func (s *Signer) inherit(h *session, renewed bool) Grant {
	g := h.grant
	if renewed || h.entry || g.Until.IsZero() {
		return g
	}
	g.Expires, g.Until = s.renewed(h), time.Time{}
	return g
}

// renewed is the expiry of media in a session that may go on.
func (s *Signer) renewed(h *session) time.Time {
	end := s.grid(h.since, s.config.TTL)
	if h.grant.Expires.After(end) {
		end = h.grant.Expires
	}
	if end.After(h.grant.Until) {
		end = h.grant.Until
	}
	return end
}

// separate returns the URL without its fragment, ready for a parameter to follow.
func (p *parts) separate() []byte {
	if p.query == p.end {
		return append(p.url[:p.end], '?')
	}
	return append(p.url[:p.end], '&')
}

// insert puts param where parameters end.
func (p *parts) insert(param []byte) []byte {
	if p.end == len(p.url) {
		return append(p.separate(), param...)
	}
	fragment := bytes.Clone(p.url[p.end:])
	return append(append(p.separate(), param...), fragment...)
}
