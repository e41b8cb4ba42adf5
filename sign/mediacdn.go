package sign

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A MediaCDNSigner makes signed requests for Google Cloud's Media CDN. It is made by [MediaCDN].
type MediaCDNSigner struct {
	keyName string
	key     ed25519.PrivateKey
	ttl     time.Duration
	made    prefixes
}

// MediaCDN returns a signer for a key of an EdgeCacheKeyset: keyName is its id there, key the private one; ttl is how long
// links live (zero: 24 hours). Its method Sign is a hook for a playlist rewriter.
func MediaCDN(keyName string, key ed25519.PrivateKey, ttl time.Duration) (*MediaCDNSigner, error) {
	ttl, err := checkTTL(ttl)
	if keyName == "" || strings.Trim(keyName, unreserved) != "" {
		err = errors.Join(err, fmt.Errorf("sign: Media CDN key name %q is not one", keyName))
	}
	if len(key) != ed25519.PrivateKeySize {
		err = errors.Join(err, errors.New("sign: Media CDN has no Ed25519 key"))
	}
	if err != nil {
		return nil, err
	}
	return &MediaCDNSigner{keyName: keyName, key: key, ttl: ttl}, nil
}

// Sign appends to public, an absolute URL, a signature for the prefix that is its directory, so that a playlist costs one.
// ErrURL for a URL without a host, or whose path could mean more than itself as a prefix.
func (m *MediaCDNSigner) Sign(ctx context.Context, public []byte) ([]byte, error) {
	expires := expiryUnder(ctx, m.ttl)
	if signed, ok := m.made.extendPlainly(public, expires, "URLPrefix", "KeyName"); ok {
		return signed, nil
	}
	p, ok := split(public)
	if !ok {
		return public, ErrURL
	}
	query, _ := p.rawQuery()
	dir, ok := p.directoryURL()
	if !ok || hasParam(query, "URLPrefix") || hasParam(query, "KeyName") {
		return public, ErrURL
	}
	params, err := m.made.get(dir, expires, func() ([]byte, error) {
		return []byte(m.signed(dir, expires, "&")), nil
	})
	if err != nil {
		return public, err
	}
	return p.insert(params), nil
}

// Cookie returns the cookie that opens all URLs that begin with prefix, an absolute URL whose path ends in a slash. It is
// Secure, HttpOnly, SameSite=None and for the path /.
func (m *MediaCDNSigner) Cookie(prefix string) (*http.Cookie, error) {
	p, ok := split([]byte(prefix))
	if !ok || p.query != len(prefix) || !strings.HasSuffix(prefix, "/") {
		return nil, ErrURL
	}
	if _, ok = p.directoryURL(); !ok {
		return nil, ErrURL
	}
	value := m.signed([]byte(prefix), expiryUnder(context.Background(), m.ttl), ":")
	return cookiesFor(&http.Cookie{Name: "Edge-Cache-Cookie", Value: value})[0], nil
}

// signed joins the fields, which a signature follows.
func (m *MediaCDNSigner) signed(prefix []byte, expires int64, sep string) string {
	value := "URLPrefix=" + base64url.EncodeToString(prefix) + sep + "Expires=" + strconv.FormatInt(expires, 10) + sep + "KeyName=" + m.keyName
	return value + sep + "Signature=" + base64url.EncodeToString(ed25519.Sign(m.key, []byte(value)))
}
