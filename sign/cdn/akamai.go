package cdn

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// AkamaiConfig is for Akamai's Auth Token 2.0 Verification.
type AkamaiConfig struct {
	// Key is that of the property, in hexadecimal digits. Required.
	Key string
	// TTL is how long links live. Zero: 24 hours.
	TTL time.Duration
	// Param is the query parameter. Empty: hdnts.
	Param string
	// Salt is the salt in the configuration of the property, if there is one.
	Salt string
}

// Akamai returns a signer of path-absolute or absolute URLs. The access list of a token is a directory and all below it. The
// error is ErrURL for a directory with a character that means something in an access list or ends a token (& ' * ? ! ~ + ;),
// and for one with escapes, because edges compare these differently.
func Akamai(c AkamaiConfig) (Signer, error) {
	var errs []error
	if c.Param == "" {
		c.Param = "hdnts"
	}
	if !link.IsName(c.Param) {
		errs = append(errs, fmt.Errorf("cdn: Akamai parameter %q is not a name of letters, digits, - and _", c.Param))
	}
	key, err := hex.DecodeString(c.Key)
	if err != nil || len(key) < leastSecret {
		errs = append(errs, fmt.Errorf("cdn: Akamai key is not at least %d bytes in hexadecimal digits", leastSecret))
	}
	ttl, err := checkTTL("Akamai", c.TTL)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	s := &prefixed{scheme: scheme{vendor: "Akamai", ttl: ttl, params: []string{c.Param}}}
	s.paramsFor = func(dir string, expires int64) ([]byte, error) {
		if i := strings.IndexAny(dir, "&'*?!~%+;"); i >= 0 {
			return nil, fmt.Errorf("%w: %q in a directory has a meaning in an access list of Akamai", ErrURL, dir[i])
		}
		return []byte(c.Param + "=" + akamaiToken(key, c.Salt, dir+"*", expires)), nil
	}
	return s, nil
}

// akamaiToken joins its fields with ~. The salt is hashed and not shown.
func akamaiToken(key []byte, salt, acl string, expires int64) string {
	fields := "exp=" + strconv.FormatInt(expires, 10) + "~acl=" + acl
	hashed := fields
	if salt != "" {
		hashed += "~salt=" + salt
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(hashed))
	return fields + "~hmac=" + hex.EncodeToString(mac.Sum(nil))
}
