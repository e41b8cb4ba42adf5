package cdn

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// BunnyConfig is for the token authentication of Bunny CDN.
type BunnyConfig struct {
	// SecurityKey is the token authentication key of the pull zone. Required.
	SecurityKey string
	// TTL is how long links live. Zero: 24 hours.
	TTL time.Duration
}

// Bunny returns a signer of path-absolute or absolute URLs. An HMAC token (HS256) opens a directory and all below it, with any
// query, because players add parameters.
func Bunny(c BunnyConfig) (Signer, error) {
	ttl, err := checkTTL("Bunny", c.TTL)
	if c.SecurityKey == "" {
		err = errors.Join(err, errors.New("cdn: Bunny has no security key"))
	}
	if err != nil {
		return nil, err
	}
	s := &prefixed{scheme: scheme{vendor: "Bunny", ttl: ttl, params: []string{"token", "expires", "token_path", "token_ignore_params"}}}
	s.paramsFor = func(dir string, expires int64) ([]byte, error) {
		path, err := url.PathUnescape(dir)
		if err != nil {
			return nil, ErrURL
		}
		token := bunnyToken(c.SecurityKey, path, expires, "token_ignore_params=true&token_path="+path)
		return []byte("token=" + token + "&token_ignore_params=true&token_path=" + strings.ReplaceAll(url.QueryEscape(path), "+", "%20") +
			"&expires=" + strconv.FormatInt(expires, 10)), nil
	}
	return s, nil
}

// bunnyToken signs a path or a prefix of paths. The parameters are signed in the order of their names, without escapes.
func bunnyToken(key, path string, expires int64, params string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(path + strconv.FormatInt(expires, 10) + params))
	return "HS256-" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
