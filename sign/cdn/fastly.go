package cdn

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

	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// FastlyConfig is for the URL token validation that Fastly documents as VCL.
type FastlyConfig struct {
	// Key is the key in the VCL, in base64 as it is there. Required.
	Key string
	// TTL is how long links live. Zero: 24 hours.
	TTL time.Duration
	// SHA256 is for VCL with digest.hmac_sha256 in place of digest.hmac_sha1.
	SHA256 bool
	// WithQuery is for VCL that signs req.url, without the token, in place of req.url.path. A link is then invalid once a
	// player adds a parameter to it.
	WithQuery bool
}

// Fastly returns a signer of path-absolute or absolute URLs. The parameter token opens one path.
func Fastly(c FastlyConfig) (Signer, error) {
	key, decodeErr := base64.StdEncoding.DecodeString(c.Key)
	ttl, err := checkTTL("Fastly", c.TTL)
	if decodeErr != nil || len(key) < leastSecret || bytes.IndexByte(key, 0) >= 0 {
		err = errors.Join(err, errors.New("cdn: Fastly key is not base64 of at least 16 bytes without a 0, at which VCL would end it"))
	}
	if err != nil {
		return nil, err
	}
	s := &single{scheme: scheme{vendor: "Fastly", ttl: ttl, params: []string{"token"}}}
	hash := sha1.New
	if c.SHA256 {
		hash = sha256.New
	}
	s.sign = func(ctx context.Context, p *link.URL) ([]byte, error) {
		expires := strconv.FormatInt(s.expires(ctx), 10)
		mac := hmac.New(hash, key)
		mac.Write([]byte(p.SentPath()))
		p.DropEmptyQuery()
		if query, ok := p.Query(); ok && c.WithQuery {
			mac.Write(append([]byte{'?'}, query...))
		}
		mac.Write([]byte(expires))
		return []byte("token=" + expires + "_" + hex.EncodeToString(mac.Sum(nil))), nil
	}
	return s, nil
}
