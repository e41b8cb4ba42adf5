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

// A Config says how links are signed. [New] checks it and reports all its faults at once.
type Config struct {
	// Keys are the secrets. The first signs, all verify; a session keeps the key it began with. To change the secret
	// without a viewer noticing, put a new key first and drop the old one when its last token has expired, which is after
	// TTL (or Renew) and a sixteenth. Required.
	Keys []Key

	// TTL is how long a link lives. Zero: 24 hours. Expiries stand on a grid of a sixteenth of TTL, at least a second, so
	// that a link made twice within a step is the same; a link lives at least TTL and at most a step longer. Verifying
	// allows besides for clocks that differ by 30 seconds, or by half of TTL if that is less.
	TTL time.Duration

	// Scope is what one token opens. The zero value is Exact. Tokens of the other scope verify nevertheless.
	Scope Scope

	// Renew is how long a session that began with an entry link may go on, and is at least TTL. A playlist
	// can then be fetched until that end, and each time the links in it to anything but playlists live anew for TTL. Zero:
	// a session ends with its link.
	Renew time.Duration

	// Claims returns the property of the viewer that a link is bound to, such as a session id or the prefix of the client
	// address: see ClientPrefix, UserAgent and AllOf. A token opens only for requests with the Claims that it was made with.
	// They are not visible in the token. Entry links need URLFor then. Nil: links are anybody's. Called concurrently.
	Claims func(*http.Request) string

	// Refuse is asked about each request with a valid token, and ends a session at once by returning an
	// error. The answer has the status of the error's HTTPStatus, else 403, and 500 if Refuse panics.
	// Nil: none is refused. Called concurrently.
	Refuse func(*http.Request, Grant) error

	// Alone lists endings of file names, such as ".key", that no token of a directory opens. Paths with such an ending, in
	// capitals or not and in any escaping, always get a token of their own, even with the scope Directory.
	Alone []string

	// Rarely needed:

	// Param is the name of the query parameter. Empty: hpt. Two signers in a row need different names.
	Param string

	// Cookies admits requests without a token by a cookie made with Signer.Cookie, and leaves links that the
	// cookie covers unsigned. It is the SameSite of the cookies: http.SameSiteLaxMode, or http.SameSiteNoneMode if players
	// stand on pages of other sites. Zero: no cookies.
	Cookies http.SameSite

	// Partitioned keeps the cookies of each embedding site apart, and gives renewed ones the same: Safari, and others in
	// private windows, drop cookies of another site without it. For http.SameSiteNoneMode only.
	Partitioned bool

	// Ignore lists query parameters that no answer depends on, such as those by which players get around caches ("_",
	// "cachebust"). Signatures do not cover them: a viewer may add, change or leave them out. Handler takes them off, whoever
	// put them into the URL, and an origin.Proxy behind it takes them off what is asked for as well, so that a cache knows one
	// URL. They are compared as they are spelled; letters, digits, - and _, and neither Param nor a directive (_HLS_). Nil:
	// none.
	Ignore []string

	// Gone answers a link that has expired with 410 instead of 403.
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

// checkKeys never names a secret.
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
