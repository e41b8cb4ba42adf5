package cdn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // CloudFront's default hash
	_ "crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// CloudFrontConfig is for the signed URLs and cookies of Amazon CloudFront.
type CloudFrontConfig struct {
	// KeyPairID is the ID of the public key at CloudFront. Required.
	KeyPairID string
	// Key is the private key: RSA with 2,048 bits or ECDSA on P-256. It may be in a hardware module. Required.
	Key crypto.Signer
	// TTL is how long links live. Zero: 24 hours.
	TTL time.Duration
	// SHA256 signs with SHA-256 instead of CloudFront's default, SHA-1.
	SHA256 bool
}

// CloudFront returns a signer of absolute URLs, which supports cookies. Sign gives a custom policy for a directory, so that a
// playlist costs one signature for each directory, however many segments it names there. URL gives a canned policy for one
// file, and costs a signature each time. The error is ErrURL for a directory with a * or ?, which would be a wildcard.
func CloudFront(c CloudFrontConfig) (Signer, error) {
	ttl, err := checkTTL("CloudFront", c.TTL)
	if err := errors.Join(err, c.check()); err != nil {
		return nil, err
	}
	params := []string{"Policy", "Expires", "Signature", "Key-Pair-Id", "Hash-Algorithm"}
	s := &prefixed{scheme: scheme{vendor: "CloudFront", ttl: ttl, hosts: true, params: params}}
	s.paramsFor = func(dir string, expires int64) ([]byte, error) {
		policy, err := cloudFrontPolicy(dir, "*", expires)
		if err != nil {
			return nil, err
		}
		signature, err := c.signature(policy)
		return []byte("Policy=" + cloudFrontText(policy) + "&" + signature), err
	}
	s.link = func(url string, expires int64) ([]byte, error) {
		policy, err := cloudFrontPolicy(url, "", expires)
		if err != nil {
			return nil, err
		}
		signature, err := c.signature(policy)
		return []byte("Expires=" + strconv.FormatInt(expires, 10) + "&" + signature), err
	}
	s.cookies = c.cookies
	return s, nil
}

func (c *CloudFrontConfig) check() error {
	var errs []error
	if c.KeyPairID == "" || strings.Trim(c.KeyPairID, link.Unreserved) != "" {
		errs = append(errs, fmt.Errorf("cdn: CloudFront key pair ID %q is not one", c.KeyPairID))
	}
	if c.Key == nil {
		return errors.Join(append(errs, errors.New("cdn: CloudFront has no key"))...)
	}
	switch public := c.Key.Public().(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits != 2048 {
			errs = append(errs, fmt.Errorf("cdn: CloudFront takes RSA keys of 2048 bits, not %d", bits))
		}
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() {
			errs = append(errs, fmt.Errorf("cdn: CloudFront takes ECDSA keys on P-256, not %s", public.Params().Name))
		}
	default:
		errs = append(errs, fmt.Errorf("cdn: CloudFront takes RSA and ECDSA keys, not %T", public))
	}
	return errors.Join(errs...)
}

func (c *CloudFrontConfig) cookies(prefix string, expires int64) ([]*http.Cookie, error) {
	policy, err := cloudFrontPolicy(prefix, "*", expires)
	if err != nil {
		return nil, err
	}
	signature, err := c.signed(policy)
	if err != nil {
		return nil, err
	}
	cookies := cookiesFor(
		&http.Cookie{Name: "CloudFront-Policy", Value: cloudFrontText(policy)},
		&http.Cookie{Name: "CloudFront-Signature", Value: cloudFrontText(signature)},
		&http.Cookie{Name: "CloudFront-Key-Pair-Id", Value: c.KeyPairID},
	)
	if c.SHA256 {
		cookies = append(cookies, cookiesFor(&http.Cookie{Name: "CloudFront-Hash-Algorithm", Value: "SHA256"})...)
	}
	return cookies, nil
}

// cloudFrontPolicy has no white space: CloudFront builds a canned policy in this form itself.
func cloudFrontPolicy(url, wildcard string, expires int64) ([]byte, error) {
	path, _, _ := strings.Cut(url, "?")
	if strings.Contains(path, "*") || wildcard == "" && strings.Contains(url, "*") {
		return nil, fmt.Errorf("%w: * is a wildcard for CloudFront", ErrURL)
	}
	return []byte(`{"Statement":[{"Resource":"` + url + wildcard + `","Condition":{"DateLessThan":{"AWS:EpochTime":` +
		strconv.FormatInt(expires, 10) + `}}}]}`), nil
}

func (c *CloudFrontConfig) signature(policy []byte) (string, error) {
	raw, err := c.signed(policy)
	if err != nil {
		return "", err
	}
	params := "Signature=" + cloudFrontText(raw) + "&Key-Pair-Id=" + c.KeyPairID
	if c.SHA256 {
		params += "&Hash-Algorithm=SHA256"
	}
	return params, nil
}

func (c *CloudFrontConfig) signed(policy []byte) ([]byte, error) {
	hash := crypto.SHA1
	if c.SHA256 {
		hash = crypto.SHA256
	}
	h := hash.New()
	h.Write(policy)
	raw, err := c.Key.Sign(rand.Reader, h.Sum(nil), hash)
	if err != nil {
		return nil, fmt.Errorf("cdn: CloudFront key: %w", err)
	}
	return raw, nil
}

// cloudFrontText is base64 with three characters replaced that have a meaning in a query.
func cloudFrontText(b []byte) string {
	return strings.NewReplacer("+", "-", "=", "_", "/", "~").Replace(base64.StdEncoding.EncodeToString(b))
}
