package sign

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// An AkamaiSigner makes links for Akamai's Auth Token 2.0 Verification. It is made by [Akamai].
type AkamaiSigner struct {
	// Salt is that of the property's configuration, if it has one. Set it before the first use.
	Salt string

	name string
	key  []byte
	ttl  time.Duration
	made prefixes
}

// Akamai returns a signer for the query parameter name (hdnts if empty) and the key of a property, in hexadecimal digits;
// ttl is how long links live (zero: 24 hours). Its method Sign is a hook for a playlist rewriter.
func Akamai(name, key string, ttl time.Duration) (*AkamaiSigner, error) {
	var errs []error
	if name == "" {
		name = "hdnts"
	}
	if !isName(name) {
		errs = append(errs, fmt.Errorf("sign: Akamai parameter %q is not a name of letters, digits, - and _", name))
	}
	raw, err := hex.DecodeString(key)
	if err != nil || len(raw) < leastSecret {
		errs = append(errs, fmt.Errorf("sign: Akamai key is not at least %d bytes in hexadecimal digits", leastSecret))
	}
	ttl, err = checkTTL(ttl)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	return &AkamaiSigner{name: name, key: raw, ttl: ttl}, nil
}

// Sign appends to public, a path-absolute or absolute URL, a token whose access list is its directory and all below. ErrURL
// for a directory that could mean more than itself in an access list, or that is escaped: edges differ in whether they
// compare it so.
func (a *AkamaiSigner) Sign(ctx context.Context, public []byte) ([]byte, error) {
	expires := expiryUnder(ctx, a.ttl)
	if signed, ok := a.made.extendPlainly(public, expires, a.name); ok {
		return signed, nil
	}
	p, ok := split(public)
	if !ok {
		return public, ErrURL
	}
	query, _ := p.rawQuery()
	dir, ok := p.directory()
	if !ok || bytes.ContainsAny(dir[p.path:], "*?!~%") || hasParam(query, a.name) {
		return public, ErrURL
	}
	params, err := a.made.get(dir, expires, func() ([]byte, error) {
		return []byte(a.name + "=" + a.token(string(dir[p.path:])+"*", expires)), nil
	})
	if err != nil {
		return public, err
	}
	return p.insert(params), nil
}

// token joins its fields with ~. The salt is hashed and not shown.
func (a *AkamaiSigner) token(acl string, expires int64) string {
	fields := "exp=" + strconv.FormatInt(expires, 10) + "~acl=" + acl
	hashed := fields
	if a.Salt != "" {
		hashed += "~salt=" + a.Salt
	}
	mac := hmac.New(sha256.New, a.key)
	mac.Write([]byte(hashed))
	return fields + "~hmac=" + hex.EncodeToString(mac.Sum(nil))
}
