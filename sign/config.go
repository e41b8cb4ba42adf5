package sign

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/sign/internal/expiry"
	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// A Config configures a [Signer]. [New] checks it and reports all its faults at once.
type Config struct {
	// Keys are the secrets. The first one signs, and all verify; a session keeps the key it began with. To change the secret
	// without disturbing viewers, put a new key first, and drop the old one when its last token has expired, which is after TTL
	// (or Renew) and a sixteenth. Required.
	Keys []Key

	// TTL is how long a link works. Zero: 24 hours. Expiries are on a grid of a sixteenth of TTL, at least a second, so that
	// links made within one step are the same; a link works for at least TTL and for at most a step longer. Verification also
	// tolerates clocks that differ by 30 seconds, or by half of TTL if that is less.
	TTL time.Duration

	// Scope is what one token opens. The zero value is Exact. Tokens of the other scope still verify.
	Scope Scope

	// Renew is how long a session that began with an entry link may go on; it is at least TTL. Until then a playlist can be
	// fetched, and each time its links to anything but playlists get a new TTL. Zero: a session ends with its link.
	Renew time.Duration

	// Claims returns the property of the viewer to which a link is bound, for example a session id or the prefix of the client
	// address: see ClientPrefix, UserAgent and AllOf. A token opens only for requests with the same Claims. They are not
	// visible in the token. Entry links must then be made with URLFor. Nil: links work for anybody. It is called concurrently.
	Claims func(*http.Request) string

	// Refuse is asked about each request with a valid token. It ends a session at once by returning an error. The answer has
	// the status of the error's HTTPStatus, else 403, and 500 if Refuse panics. Nil: nothing is refused. It is called
	// concurrently.
	Refuse func(*http.Request, Grant) error

	// Alone lists endings of file names, such as ".key", that no token of a directory opens. Paths with such an ending, in
	// capitals or not and in any escaping, always get a token of their own, even with the scope Directory.
	Alone []string

	// Rarely needed:

	// Param is the name of the query parameter. Empty: hpt. Two signers in a row need different names.
	Param string

	// Cookies admits requests without a token by a cookie from Signer.Cookie, and leaves links unsigned that the cookie covers.
	// It is the SameSite of the cookies: http.SameSiteLaxMode, or http.SameSiteNoneMode if players are on pages of other sites.
	// Zero: no cookies.
	Cookies http.SameSite

	// Partitioned keeps the cookies of each embedding site apart. Renewed cookies are partitioned as well. Safari, and other
	// browsers in private windows, drop cookies of another site without it. Use it only with http.SameSiteNoneMode.
	Partitioned bool

	// Ignore lists query parameters that no answer depends on, such as those by which players get around caches ("_",
	// "cachebust"). Signatures do not cover them: a viewer may add, change or omit them. Handler removes them, wherever they
	// come from, and an origin.Proxy behind it removes them from its requests as well, so that a cache sees one URL. They are
	// compared as they are spelled. Their names may have letters, digits, - and _; Param and directives (_HLS_) are not
	// allowed. Nil: none.
	Ignore []string

	// Gone answers an expired link with 410 instead of 403.
	Gone bool
}

// A Key is a named secret.
type Key struct {
	ID     string // visible in each token; at most 64 bytes; no two keys have the same
	Secret []byte // at least 16 bytes, from a random source; do not change them later
}

// A Scope is what one token opens.
type Scope uint8

const (
	// Exact opens one URL: its path and its query.
	Exact Scope = iota
	// Directory opens everything below the directory of the URL, with any query.
	Directory
)

const (
	defaultParam = "hpt"
	leastSecret  = 16
	longestID    = 64
	greatestSkew = 30 * time.Second
)

// withDefaults also reports the faults of c.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.TTL == 0 {
		c.TTL = expiry.DefaultTTL
	}
	if c.TTL < time.Second {
		errs = append(errs, fmt.Errorf("sign: TTL of %v is less than a second", c.TTL))
	}
	if c.Renew != 0 && c.Renew < c.TTL {
		errs = append(errs, fmt.Errorf("sign: Renew of %v is less than TTL of %v", c.Renew, c.TTL))
	}
	if c.Scope > Directory {
		errs = append(errs, fmt.Errorf("sign: unknown Scope %d", c.Scope))
	}
	if c.Param == "" {
		c.Param = defaultParam
	}
	if !link.IsName(c.Param) || hls.IsDirective(c.Param) || hls.IsCMCD(c.Param) {
		errs = append(errs, fmt.Errorf("sign: Param %q is not a free name of letters, digits, - and _", c.Param))
	}
	if c.Partitioned && c.Cookies != http.SameSiteNoneMode {
		errs = append(errs, errors.New("sign: Partitioned is for Cookies with http.SameSiteNoneMode"))
	}
	for _, name := range c.Ignore {
		if !link.IsName(name) || hls.IsDirective(name) || name == c.Param {
			errs = append(errs, fmt.Errorf("sign: Ignore %q is not a name of letters, digits, - and _ that is free", name))
		}
	}
	for _, a := range c.Alone {
		if a == "" || strings.Trim(a, link.Unreserved) != "" {
			errs = append(errs, fmt.Errorf("sign: Alone %q is not the ending of a path that needs no escaping", a))
		}
	}
	return c, errors.Join(append(errs, checkKeys(c.Keys))...)
}

// checkKeys never shows a secret.
func checkKeys(keys []Key) error {
	var errs []error
	if len(keys) == 0 {
		errs = append(errs, errors.New("sign: no Keys"))
	}
	seen := make(map[string]bool, len(keys))
	for i, k := range keys {
		if len(k.Secret) < leastSecret {
			errs = append(errs, fmt.Errorf("sign: secret of key %d (%q) has %d bytes, fewer than %d", i, k.ID, len(k.Secret), leastSecret))
		}
		if len(k.ID) > longestID {
			errs = append(errs, fmt.Errorf("sign: id of key %d has %d bytes, more than %d", i, len(k.ID), longestID))
		}
		if seen[k.ID] {
			errs = append(errs, fmt.Errorf("sign: id of key %d (%q) is that of another key", i, k.ID))
		}
		seen[k.ID] = true
	}
	return errors.Join(errs...)
}
