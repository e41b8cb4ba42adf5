package sign

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"time"
)

// An NginxSigner makes links that nginx checks with its secure_link module. It is made by [Nginx].
type NginxSigner struct {
	// Hash and Expires name the two parameters. Empty: md5 and expires. Set them before the first use.
	Hash, Expires string

	expression string
	ttl        time.Duration
}

// Nginx returns a signer for a server that checks links like this:
//
//	secure_link     $arg_md5,$arg_expires;
//	secure_link_md5 "$secure_link_expires$uri secret";
//
// expression is the argument of secure_link_md5 as it stands there. It may use the variables $secure_link_expires and
// $uri, and must use both; ttl is how long links live (zero: 24 hours). The method Sign is a hook for a playlist rewriter.
// The module knows MD5 only, and no prefixes: each link opens one path, with any query.
func Nginx(expression string, ttl time.Duration) (*NginxSigner, error) {
	ttl, err := checkTTL(ttl)
	seen := map[string]bool{}
	os.Expand(expression, func(name string) string { seen[name] = true; return "" })
	for _, name := range []string{"secure_link_expires", "uri"} {
		if !seen[name] {
			err = errors.Join(err, fmt.Errorf("sign: nginx expression does not use $%s", name))
		}
		delete(seen, name)
	}
	for name := range seen {
		err = errors.Join(err, fmt.Errorf("sign: nginx expression uses $%s, which is not known here", name))
	}
	if err != nil {
		return nil, err
	}
	return &NginxSigner{expression: expression, ttl: ttl}, nil
}

// Sign appends the hash and the expiry to public, a path-absolute or absolute URL. ErrURL for a path that nginx would see
// as another one.
func (n *NginxSigner) Sign(ctx context.Context, public []byte) ([]byte, error) {
	hash, expires := orDefault(n.Hash, "md5"), orDefault(n.Expires, "expires")
	p, ok := split(public)
	if !ok {
		return public, ErrURL
	}
	query, _ := p.rawQuery()
	path := p.pathBytes()
	if !plain(path) || hasParam(query, hash) || hasParam(query, expires) {
		return public, ErrURL
	}
	uri, err := url.PathUnescape(string(path)) // nginx compares the decoded path
	if err != nil {
		return public, ErrURL
	}
	end := strconv.FormatInt(expiryUnder(ctx, n.ttl), 10)
	sum := md5.Sum([]byte(os.Expand(n.expression, func(name string) string {
		if name == "uri" {
			return uri
		}
		return end
	})))
	return p.insert([]byte(hash + "=" + base64url.EncodeToString(sum[:]) + "&" + expires + "=" + end)), nil
}

func orDefault(s, byDefault string) string {
	if s == "" {
		return byDefault
	}
	return s
}
