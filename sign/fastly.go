package sign

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
	"time"
)

// A FastlySigner makes links for the URL token validation that Fastly documents as VCL. It is made by [Fastly].
type FastlySigner struct {
	// SHA256 is for VCL with digest.hmac_sha256 in place of digest.hmac_sha1. Set the fields before the first use.
	SHA256 bool
	// WithQuery is for VCL that signs req.url, without the token, in place of req.url.path. What a player adds to a URL then
	// makes it invalid.
	WithQuery bool

	key []byte
	ttl time.Duration
}

// Fastly returns a signer for the key in the VCL, in base64 as it stands there; ttl is how long links live (zero: 24 hours).
// Its method Sign is a hook for a playlist rewriter. The scheme knows no prefixes: each link opens one path.
func Fastly(key string, ttl time.Duration) (*FastlySigner, error) {
	raw, decodeErr := base64.StdEncoding.DecodeString(key)
	ttl, err := checkTTL(ttl)
	if decodeErr != nil || len(raw) < leastSecret || bytes.IndexByte(raw, 0) >= 0 {
		err = errors.Join(err, errors.New("sign: Fastly key is not base64 of at least 16 bytes, none of which VCL would end it at (0)"))
	}
	if err != nil {
		return nil, err
	}
	return &FastlySigner{key: raw, ttl: ttl}, nil
}

// Sign appends the parameter token to public, a path-absolute or absolute URL. ErrURL for a path that could mean more than
// itself, a URL that has such a parameter, or, WithQuery, an empty query.
func (f *FastlySigner) Sign(ctx context.Context, public []byte) ([]byte, error) {
	p, ok := split(public)
	if !ok {
		return public, ErrURL
	}
	query, hasQuery := p.rawQuery()
	path := p.pathBytes()
	if !plain(path) || hasParam(query, "token") || f.WithQuery && hasQuery && len(query) == 0 {
		return public, ErrURL
	}
	hash := sha1.New
	if f.SHA256 {
		hash = sha256.New
	}
	expires := strconv.FormatInt(expiryUnder(ctx, f.ttl), 10)
	mac := hmac.New(hash, f.key)
	mac.Write(path)
	if f.WithQuery && hasQuery {
		mac.Write(append([]byte{'?'}, query...))
	}
	mac.Write([]byte(expires))
	return p.insert([]byte("token=" + expires + "_" + hex.EncodeToString(mac.Sum(nil)))), nil
}
