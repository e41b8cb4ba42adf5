package sign

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/sign/internal/expiry"
	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// A Grant is what a valid token allows.
type Grant struct {
	Expires   time.Time // the end, in whole seconds
	NotBefore time.Time // the beginning; zero: it has begun
	Until     time.Time // until when playlists can still be fetched; zero: Expires
	Claims    string    // the value of Config.Claims, which must be the same for the request and the token
	Session   string    // a name from the maker of the grant, at most 255 bytes; visible in the token

	// Directory is a path that begins and ends with a slash. Tokens of directories under this grant open what is below it. Each
	// URL elsewhere gets a token for itself alone. Empty: the directory of the entry link or, without an entry link, that of
	// each URL. A token does not carry it: it is empty in what Verify and FromContext return.
	Directory string
}

// NewContext returns ctx with g, for a service that admits viewers without Handler. What Sign signs with it expires with g. Set
// g.Directory if others write the playlists.
func NewContext(ctx context.Context, g Grant) context.Context {
	s := &session{grant: g, since: time.Now(), tree: []byte(g.Directory), free: g.Directory == ""}
	return s.into(ctx)
}

// FromContext returns the grant under which Handler admitted the request that ctx belongs to. If there are several signers in a
// row, it is that of the innermost.
func FromContext(ctx context.Context) (Grant, bool) {
	s, ok := ctx.Value(expiry.Key{}).(*session)
	if !ok {
		return Grant{}, false
	}
	return s.grant, true
}

// session is a grant in use. Playlists name the same few directories again and again, so it keeps their tokens.
type session struct {
	grant  Grant
	since  time.Time // when its use began
	entry  bool      // it is for a link that begins a session, not for one in a playlist
	signer *Signer   // its Handler has admitted the viewer; nil: NewContext
	outer  *session  // that of another signer in a row

	key    string          // the id of the key of the viewer's token
	own    *directoryToken // the viewer's token, if it is one of a directory
	cookie bool            // that token was in a cookie
	tree   []byte          // the directory below which tokens of directories may open anything
	free   bool            // they may open any directory

	recent [2]atomic.Pointer[directoryToken] // by kind & 1: the token of the last URL
	prefix [2]atomic.Pointer[prefix]
	mu     sync.Mutex
	tokens []*directoryToken
}

// maxTokens bounds what is kept. For further directories, the tokens are made again each time.
const maxTokens = 16

// into returns ctx with s, which remembers the session that ctx had before.
func (s *session) into(ctx context.Context) context.Context {
	s.outer, _ = ctx.Value(expiry.Key{}).(*session)
	return context.WithValue(ctx, expiry.Key{}, s)
}

// sessionOf returns the session of a request that signer has admitted, or the one that NewContext has set since, whichever is
// the inner one. If there is neither, it returns that of another signer.
func sessionOf(ctx context.Context, signer *Signer) (*session, bool) {
	inner, ok := ctx.Value(expiry.Key{}).(*session)
	for s := inner; s != nil; s = s.outer {
		if s.signer == signer || s.signer == nil {
			return s, true
		}
	}
	return inner, ok
}

// End is when s and all sessions around it have ended, in seconds since 1970.
func (s *session) End() int64 {
	end := max(s.grant.Expires.Unix(), s.grant.Until.Unix())
	if s.outer != nil {
		end = min(end, s.outer.End())
	}
	return end
}

// link.DirectoryOf returns the directory of a token for path; it is not ok if g does not reach there.
func (g *Grant) directoryOf(path []byte) ([]byte, bool) {
	if g.Directory != "" {
		return []byte(g.Directory), bytes.HasPrefix(path, []byte(g.Directory))
	}
	dir, _ := link.DirectoryOf(path)
	return dir, true
}

// mayOpen reports whether a token of a directory may open path.
func (s *session) mayOpen(path []byte) bool {
	return s.free || len(s.tree) > 0 && bytes.HasPrefix(path, s.tree)
}

// kindOf is the kind of a link to path.
func (s *session) kindOf(path []byte) int {
	if s.grant.Until.IsZero() {
		return kindAny
	}
	return kindOf(path)
}

// isFree reports whether the viewer's cookie for signer opens path, so that the link needs no token.
func (s *session) isFree(signer *Signer, p *link.URL, path []byte) bool {
	return s.admittedByCookie(signer) && !p.HasHost() && bytes.HasPrefix(path, s.own.dir)
}

func (s *session) admittedByCookie(signer *Signer) bool { return s.cookie && s.signer == signer }
