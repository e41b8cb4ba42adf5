package sign

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"net/url"
	"strconv"
	"time"
)

// A BunnySigner makes links for the token authentication of Bunny CDN. It is made by [Bunny].
type BunnySigner struct {
	key  []byte
	ttl  time.Duration
	made prefixes
}

// Bunny returns a signer for the security key of a pull zone; ttl is how long links live (zero: 24 hours). Its method Sign
// is a hook for a playlist rewriter.
func Bunny(securityKey string, ttl time.Duration) (*BunnySigner, error) {
	ttl, err := checkTTL(ttl)
	if securityKey == "" {
		err = errors.Join(err, errors.New("sign: Bunny has no security key"))
	}
	if err != nil {
		return nil, err
	}
	return &BunnySigner{key: []byte(securityKey), ttl: ttl}, nil
}

// Sign appends to public, a path-absolute or absolute URL, an HMAC token (HS256) for its directory and all below, with any
// query: players add parameters. ErrURL for a path that could mean more than itself as a prefix.
func (b *BunnySigner) Sign(ctx context.Context, public []byte) ([]byte, error) {
	expires := expiryUnder(ctx, b.ttl)
	if signed, ok := b.made.extendPlainly(public, expires, "token", "expires"); ok {
		return signed, nil
	}
	p, ok := split(public)
	if !ok {
		return public, ErrURL
	}
	query, _ := p.rawQuery()
	dir, ok := p.directory()
	if !ok || hasParam(query, "token") || hasParam(query, "expires") {
		return public, ErrURL
	}
	params, err := b.made.get(dir, expires, func() ([]byte, error) {
		path, err := url.PathUnescape(string(dir[p.path:]))
		if err != nil {
			return nil, ErrURL
		}
		token := b.token(path, expires, "token_ignore_params=true&token_path="+path)
		return []byte("token=" + token + "&token_ignore_params=true&token_path=" + url.QueryEscape(path) +
			"&expires=" + strconv.FormatInt(expires, 10)), nil
	})
	if err != nil {
		return public, err
	}
	return p.insert(params), nil
}

// token signs a path or the prefix of one, with the parameters in the order of their names and without escapes.
func (b *BunnySigner) token(path string, expires int64, params string) string {
	mac := hmac.New(sha256.New, b.key)
	mac.Write([]byte(path + strconv.FormatInt(expires, 10) + params))
	return "HS256-" + base64url.EncodeToString(mac.Sum(nil))
}
