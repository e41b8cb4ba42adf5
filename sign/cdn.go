package sign

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"time"
)

// The signers of content delivery networks below are the same hook as Signer.Sign, for playlists whose segments a network
// serves and checks: their public URLs are those of the network. All put expiries on a grid of a sixteenth of their TTL,
// at least a second, as a Signer does, and stay within the grant in the context, if there is one. They may be used by any
// number of goroutines.

// gridAfter returns the first multiple of step that is at least d after t, in whole seconds.
func gridAfter(t time.Time, d, step time.Duration) time.Time {
	seconds := int64(step / time.Second)
	end := t.Add(d)
	unix := end.Unix()
	if end.Nanosecond() > 0 {
		unix++
	}
	return time.Unix((unix+seconds-1)/seconds*seconds, 0)
}

func stepOf(ttl time.Duration) time.Duration {
	return max(time.Second, (ttl / gridSteps).Truncate(time.Second))
}

// expiryUnder returns when a link made now expires, in seconds since 1970.
func expiryUnder(ctx context.Context, ttl time.Duration) int64 {
	end := gridAfter(time.Now(), ttl, stepOf(ttl))
	if g, ok := FromContext(ctx); ok {
		last := g.Expires
		if g.Until.After(last) {
			last = g.Until
		}
		if end.After(last) {
			end = last
		}
	}
	return end.Unix()
}

// prefixes remembers the parameters made for directories, so that a playlist costs one signature, and so do all that name
// the same directory until its expiry moves on.
type prefixes struct {
	mu   sync.Mutex
	made []*prefixParams // latest first
}

type prefixParams struct {
	prefix  []byte // scheme, host and directory
	expires int64
	params  []byte
}

const mostPrefixes = 64

// get returns the parameters that cover url until expires, made by make when there are none yet. Making holds the others
// up, so that many viewers at once cost one signature too.
func (c *prefixes) get(url, dir []byte, expires int64, make func() ([]byte, error)) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, p := range c.made {
		if p.expires == expires && bytes.HasPrefix(url, p.prefix) {
			copy(c.made[1:i+1], c.made[:i])
			c.made[0] = p
			return p.params, nil
		}
	}
	params, err := make()
	if err != nil {
		return nil, err
	}
	p := &prefixParams{prefix: bytes.Clone(dir), expires: expires, params: params}
	c.made = append([]*prefixParams{p}, c.made[:min(len(c.made), mostPrefixes-1)]...)
	return params, nil
}

// directoryURL returns the part of p up to the last slash of its path, for a URL with a host.
func (p *parts) directoryURL() ([]byte, bool) {
	if p.path == 0 || p.url[0] == '/' {
		return nil, false
	}
	return p.directory()
}

// directory is directoryURL for a URL that may be path-absolute. It is not ok for one that means more than one thing as a
// prefix or inside a policy.
func (p *parts) directory() ([]byte, bool) {
	path := p.url[p.path:p.query]
	if !plain(path) || hasOdd(p.url[:p.end], &oddInURL) {
		return nil, false
	}
	return p.url[:p.path+bytes.LastIndexByte(path, '/')+1], true
}

// oddInURL are the bytes that a client may spell in another way, or that would end a string in a policy.
var oddInURL = not(unreserved + "%!$&()*+,;=:@/[]?'")

// cookiesFor gives cookies what all of a network have in common.
func cookiesFor(cookies ...*http.Cookie) []*http.Cookie {
	for _, c := range cookies {
		c.Path, c.Secure, c.HttpOnly, c.SameSite = "/", true, true, http.SameSiteNoneMode
	}
	return cookies
}
