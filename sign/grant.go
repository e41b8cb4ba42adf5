package sign

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A Grant is what a valid token allows.
type Grant struct {
	Expires   time.Time // end of the grant, in whole seconds
	NotBefore time.Time // its beginning; zero: it has begun
	Until     time.Time // until when playlists can still be fetched; zero: Expires
	Claims    string    // value of Config.Claims, equal for the request and the token
	Session   string    // name given by whoever minted the grant, at most 255 bytes; visible in the token
}

// Grant returns a new grant for the viewer of r, who may be nil if there are no Config.Claims: the one that URL gives. Its
// fields may be changed before it is used.
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
func (s *Signer) grid(t time.Time, d time.Duration) time.Time { return gridAfter(t, d, s.step) }

type contextKey struct{}

// NewContext returns ctx with g, for those who admit viewers in another way than by Handler: what Sign signs under it
// expires with g.
func NewContext(ctx context.Context, g Grant) context.Context {
	return context.WithValue(ctx, contextKey{}, &held{grant: g, since: time.Now()})
}

// FromContext returns the grant under which Handler admitted the request that ctx belongs to.
func FromContext(ctx context.Context) (Grant, bool) {
	h, ok := ctx.Value(contextKey{}).(*held)
	if !ok {
		return Grant{}, false
	}
	return h.grant, true
}

// held is a grant in use. One playlist after another names the same few directories, so it keeps their tokens.
type held struct {
	grant Grant
	since time.Time // when it was put to use
	entry bool      // for a link that begins a session, not one in a playlist

	key    string // id of the key of the token by which the viewer came
	keyed  bool   // whether there was one
	own    *cover // that token, if it is one of a directory
	cookie bool   // and was in a cookie

	recent [2]atomic.Pointer[cover] // by kind & 1, the one that covered the last URL
	bound  [2]atomic.Pointer[bound]
	mu     sync.Mutex
	covers []*cover
}

// maxCovers bounds what is kept: a playlist that names more directories has its tokens made again.
const maxCovers = 16
