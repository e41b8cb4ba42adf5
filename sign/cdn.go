package sign

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
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
	now, step := time.Now(), int64(stepOf(ttl)/time.Second)
	ahead := time.Duration(now.Nanosecond()) + ttl
	end := now.Unix() + int64((ahead+time.Second-1)/time.Second)
	end = (end + step - 1) / step * step
	if s, ok := ctx.Value(contextKey{}).(*session); ok {
		end = min(end, s.end())
	}
	return end
}

// prefixes remembers the parameters made for directories, so that a playlist costs one signature for each directory that it
// names files of, and so do all that name the same ones until their expiry moves on.
type prefixes struct {
	mu     sync.Mutex
	made   map[prefixKey][]byte
	recent atomic.Pointer[recentPrefix]
}

// recentPrefix is what was signed last: playlists name the files of one directory in a row.
type recentPrefix struct {
	prefixKey
	params []byte
}

type prefixKey struct {
	dir     string // scheme, host and path
	expires int64
}

const mostPrefixes = 1024

// get returns the parameters that cover dir until expires, made by make when there are none yet. Making holds the others
// up, so that many viewers at once cost one signature too. Those of a directory above would do as well, and never serve: they
// open more than the viewer was meant to see, and come and go with what others watch.
func (c *prefixes) get(dir []byte, expires int64, make func() ([]byte, error)) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if params, ok := c.made[prefixKey{string(dir), expires}]; ok {
		c.recent.Store(&recentPrefix{prefixKey{string(dir), expires}, params})
		return params, nil
	}
	params, err := make()
	if err != nil {
		return nil, err
	}
	if c.made == nil || len(c.made) == mostPrefixes {
		c.made = map[prefixKey][]byte{}
	}
	c.made[prefixKey{string(dir), expires}] = params
	c.recent.Store(&recentPrefix{prefixKey{string(dir), expires}, params})
	return params, nil
}

// extendPlainly is the fast answer to most URLs of a playlist: a plain file name beside that of the URL before. Not ok means
// to look closer.
func (c *prefixes) extendPlainly(public []byte, expires int64, reserved ...string) ([]byte, bool) {
	r := c.recent.Load()
	if r == nil || r.expires != expires || len(public) < len(r.dir) || string(public[:len(r.dir)]) != r.dir {
		return public, false
	}
	name, separator := public[len(r.dir):], byte('?')
	if i := bytes.IndexByte(name, '?'); i >= 0 {
		query := name[i+1:]
		if hasOdd(query, &oddInURL) || slices.ContainsFunc(reserved, func(n string) bool { return hasParam(query, n) }) {
			return public, false
		}
		name, separator = name[:i], '&'
	}
	if !isFileName(name) {
		return public, false
	}
	return append(append(public, separator), r.params...), true
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
