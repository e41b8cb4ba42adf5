package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // the hash that CloudFront takes by default
	_ "crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A CloudFrontSigner makes signed URLs and cookies for Amazon CloudFront. It is made by [CloudFront].
type CloudFrontSigner struct {
	// SHA256 signs with SHA-256 instead of CloudFront's default, SHA-1. Set it before the first use.
	SHA256 bool

	keyPairID string
	key       crypto.Signer
	ttl       time.Duration
	made      prefixes
}

// CloudFront returns a signer for a key pair of CloudFront: keyPairID is the ID of its public key there, key the private
// one (RSA with 2,048 bits or ECDSA on P-256, also in a hardware module), ttl how long links live (zero: 24 hours). Its
// method Sign is a hook for a playlist rewriter.
func CloudFront(keyPairID string, key crypto.Signer, ttl time.Duration) (*CloudFrontSigner, error) {
	var errs []error
	if keyPairID == "" || strings.Trim(keyPairID, unreserved) != "" {
		errs = append(errs, fmt.Errorf("sign: CloudFront key pair ID %q is not one", keyPairID))
	}
	ttl, err := checkTTL(ttl)
	errs = append(errs, err)
	switch key := key.(type) {
	case nil:
		errs = append(errs, errors.New("sign: CloudFront has no key"))
	default:
		switch public := key.Public().(type) {
		case *rsa.PublicKey:
			if bits := public.N.BitLen(); bits != 2048 {
				errs = append(errs, fmt.Errorf("sign: CloudFront takes RSA keys of 2048 bits, not %d", bits))
			}
		case *ecdsa.PublicKey:
			if public.Curve != elliptic.P256() {
				errs = append(errs, fmt.Errorf("sign: CloudFront takes ECDSA keys on P-256, not %s", public.Params().Name))
			}
		default:
			errs = append(errs, fmt.Errorf("sign: CloudFront takes RSA and ECDSA keys, not %T", public))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &CloudFrontSigner{keyPairID: keyPairID, key: key, ttl: ttl}, nil
}

func checkTTL(ttl time.Duration) (time.Duration, error) {
	if ttl == 0 {
		ttl = defaultTTL
	}
	if ttl < time.Second {
		return 0, fmt.Errorf("sign: TTL of %v is less than a second", ttl)
	}
	return ttl, nil
}

// Sign appends to public, an absolute URL, a custom policy for all of its directory and below, so that a playlist costs one
// signature for each directory, however many segments it names there. ErrURL for a URL without a host, with signature
// parameters, or with a path that could mean more than itself in a policy.
func (c *CloudFrontSigner) Sign(ctx context.Context, public []byte) ([]byte, error) {
	expires := expiryUnder(ctx, c.ttl)
	if signed, ok := c.made.extendPlainly(public, expires, "Key-Pair-Id"); ok {
		return signed, nil
	}
	p, dir, err := c.split(public)
	if err != nil {
		return public, err
	}
	params, err := c.made.get(dir, expires, func() ([]byte, error) {
		policy := cloudFrontPolicy(string(dir)+"*", expires)
		signature, err := c.signature(policy)
		return []byte("Policy=" + cloudFrontText(policy) + "&" + signature), err
	})
	if err != nil {
		return public, err
	}
	return p.insert(params), nil
}

// URL returns rawURL, an absolute URL, with a canned policy for it alone. It costs a signature each time.
func (c *CloudFrontSigner) URL(rawURL string) (string, error) {
	p, _, err := c.split([]byte(rawURL))
	if err != nil {
		return "", err
	}
	expires := expiryUnder(context.Background(), c.ttl)
	signature, err := c.signature(cloudFrontPolicy(string(p.url[:p.end]), expires))
	if err != nil {
		return "", err
	}
	return string(p.insert([]byte("Expires=" + strconv.FormatInt(expires, 10) + "&" + signature))), nil
}

// Cookies returns the cookies that open resource, an absolute URL in which * stands for any characters, under a custom
// policy. They are Secure, HttpOnly, SameSite=None and for the path /; set Domain to what the page and CloudFront share.
func (c *CloudFrontSigner) Cookies(resource string) ([]*http.Cookie, error) {
	p, ok := split([]byte(resource))
	if !ok || p.path == 0 || p.end < len(resource) || hasOdd([]byte(resource), &oddInURL) {
		return nil, ErrURL
	}
	policy := cloudFrontPolicy(resource, expiryUnder(context.Background(), c.ttl))
	signature, err := c.signed(policy)
	if err != nil {
		return nil, err
	}
	cookies := cookiesFor(
		&http.Cookie{Name: "CloudFront-Policy", Value: cloudFrontText(policy)},
		&http.Cookie{Name: "CloudFront-Signature", Value: cloudFrontText(signature)},
		&http.Cookie{Name: "CloudFront-Key-Pair-Id", Value: c.keyPairID},
	)
	if c.SHA256 {
		cookies = append(cookies, cookiesFor(&http.Cookie{Name: "CloudFront-Hash-Algorithm", Value: "SHA256"})...)
	}
	return cookies, nil
}

func (c *CloudFrontSigner) split(public []byte) (p parts, dir []byte, err error) {
	p, ok := split(public)
	if !ok {
		return p, nil, ErrURL
	}
	query, _ := p.rawQuery()
	// A wildcard in the URL would be one in the policy.
	if dir, ok = p.directoryURL(); !ok || bytes.IndexByte(dir, '*') >= 0 || hasParam(query, "Key-Pair-Id") {
		return p, nil, ErrURL
	}
	return p, dir, nil
}

// cloudFrontPolicy has the form that CloudFront itself builds for a canned policy, without white space.
func cloudFrontPolicy(resource string, expires int64) []byte {
	return []byte(`{"Statement":[{"Resource":"` + resource + `","Condition":{"DateLessThan":{"AWS:EpochTime":` +
		strconv.FormatInt(expires, 10) + `}}}]}`)
}

func (c *CloudFrontSigner) signature(policy []byte) (string, error) {
	raw, err := c.signed(policy)
	if err != nil {
		return "", err
	}
	params := "Signature=" + cloudFrontText(raw) + "&Key-Pair-Id=" + c.keyPairID
	if c.SHA256 {
		params += "&Hash-Algorithm=SHA256"
	}
	return params, nil
}

func (c *CloudFrontSigner) signed(policy []byte) ([]byte, error) {
	hash := crypto.SHA1
	if c.SHA256 {
		hash = crypto.SHA256
	}
	h := hash.New()
	h.Write(policy)
	raw, err := c.key.Sign(rand.Reader, h.Sum(nil), hash)
	if err != nil {
		return nil, fmt.Errorf("sign: CloudFront key: %w", err)
	}
	return raw, nil
}

// cloudFrontText is base64 with the three characters that a query would not bear replaced.
func cloudFrontText(b []byte) string {
	return strings.NewReplacer("+", "-", "=", "_", "/", "~").Replace(base64.StdEncoding.EncodeToString(b))
}
