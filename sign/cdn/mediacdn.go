package cdn

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// MediaCDNConfig is for the signed requests of Google Cloud's Media CDN.
type MediaCDNConfig struct {
	// KeyName is the id of the key in its EdgeCacheKeyset. Required.
	KeyName string
	// Key is the private key. Required.
	Key ed25519.PrivateKey
	// TTL is how long links live. Zero: 24 hours.
	TTL time.Duration
}

// MediaCDN returns a signer of absolute URLs, which supports cookies. A signature is for the prefix that is the directory.
func MediaCDN(c MediaCDNConfig) (Signer, error) {
	ttl, err := checkTTL("Media CDN", c.TTL)
	if c.KeyName == "" || strings.Trim(c.KeyName, link.Unreserved) != "" {
		err = errors.Join(err, fmt.Errorf("cdn: Media CDN key name %q is not one", c.KeyName))
	}
	if len(c.Key) != ed25519.PrivateKeySize {
		err = errors.Join(err, errors.New("cdn: Media CDN has no Ed25519 key"))
	}
	if err != nil {
		return nil, err
	}
	s := &prefixed{scheme: scheme{vendor: "Media CDN", ttl: ttl, hosts: true, params: []string{"URLPrefix", "Expires", "KeyName", "Signature"}}}
	s.paramsFor = func(dir string, expires int64) ([]byte, error) { return []byte(c.signed(dir, expires, "&")), nil }
	s.cookies = func(prefix string, expires int64) ([]*http.Cookie, error) {
		return cookiesFor(&http.Cookie{Name: "Edge-Cache-Cookie", Value: c.signed(prefix, expires, ":")}), nil
	}
	return s, nil
}

// signed joins the fields that the signature covers and comes after.
func (c *MediaCDNConfig) signed(prefix string, expires int64, sep string) string {
	text := base64.RawURLEncoding
	value := "URLPrefix=" + text.EncodeToString([]byte(prefix)) + sep + "Expires=" + strconv.FormatInt(expires, 10) + sep + "KeyName=" + c.KeyName
	return value + sep + "Signature=" + text.EncodeToString(ed25519.Sign(c.Key, []byte(value)))
}
