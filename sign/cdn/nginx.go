package cdn

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// NginxConfig is for the module secure_link of nginx. The server checks links like this:
//
//	secure_link     $arg_md5,$arg_expires;
//	secure_link_md5 "$secure_link_expires$uri secret";
type NginxConfig struct {
	// Expression is the argument of secure_link_md5 as it is in the configuration. It must use the variables
	// $secure_link_expires and $uri, and no others. Required.
	Expression string
	// TTL is how long links live. Zero: 24 hours.
	TTL time.Duration
	// Hash and Expires name the two parameters. Empty: md5 and expires.
	Hash, Expires string
}

// Nginx returns a signer of path-absolute or absolute URLs. The module supports MD5 only and no prefixes: each link opens one
// path, with any query. The error is ErrURL for a path that nginx would change: with an empty segment, an escaped slash, or a
// percent sign that begins no escape.
func Nginx(c NginxConfig) (Signer, error) {
	ttl, err := checkTTL("nginx", c.TTL)
	seen := map[string]bool{}
	os.Expand(c.Expression, func(name string) string { seen[name] = true; return "" })
	for _, name := range []string{"secure_link_expires", "uri"} {
		if !seen[name] {
			err = errors.Join(err, fmt.Errorf("cdn: nginx expression does not use $%s", name))
		}
		delete(seen, name)
	}
	for name := range seen {
		err = errors.Join(err, fmt.Errorf("cdn: nginx expression uses $%s, which is not known here", name))
	}
	hash, expires := cmp.Or(c.Hash, "md5"), cmp.Or(c.Expires, "expires")
	if !link.IsName(hash) || !link.IsName(expires) || strings.EqualFold(hash, expires) {
		err = errors.Join(err, fmt.Errorf("cdn: nginx parameters %q and %q are not two names", hash, expires))
	}
	if err != nil {
		return nil, err
	}
	s := &single{scheme: scheme{vendor: "nginx", ttl: ttl, params: []string{hash, expires}, fold: true}}
	s.sign = func(ctx context.Context, p *link.URL) ([]byte, error) {
		path := p.SentPath()
		uri, err := url.PathUnescape(path) // nginx compares the decoded path
		if err != nil || !link.Plain([]byte(path)) {
			return nil, fmt.Errorf("%w: nginx sees another path", ErrURL)
		}
		end := strconv.FormatInt(s.expires(ctx), 10)
		sum := md5.Sum([]byte(os.Expand(c.Expression, func(name string) string {
			if name == "uri" {
				return uri
			}
			return end
		})))
		return []byte(hash + "=" + base64.RawURLEncoding.EncodeToString(sum[:]) + "&" + expires + "=" + end), nil
	}
	return s, nil
}
