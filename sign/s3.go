package sign

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// S3Keys are the credentials of an account at Amazon S3 or a store that is compatible with it.
type S3Keys struct {
	// AccessKeyID and SecretAccessKey are the pair; only the first shows in a link.
	AccessKeyID     string
	SecretAccessKey string
	// SessionToken is that of temporary credentials, which end when they end, whatever a link says. Empty: none.
	SessionToken string
	// Region of the bucket, such as us-east-1.
	Region string
}

// An S3Signer makes presigned GET URLs (AWS Signature Version 4 in the query). It is made by [S3].
type S3Signer struct {
	keys S3Keys
	ttl  time.Duration
}

// S3 returns a signer of URLs of objects; ttl is how long links live at most (zero: 24 hours; at most 7 days), and they
// live at least fifteen sixteenths of that. Its method Sign is a hook for a playlist rewriter. Presigned URLs open one
// object each: where a playlist is long, a CDN in front that signs prefixes is cheaper.
func S3(keys S3Keys, ttl time.Duration) (*S3Signer, error) {
	ttl, err := checkTTL(ttl)
	if ttl > 7*24*time.Hour || ttl%time.Second != 0 {
		err = errors.Join(err, fmt.Errorf("sign: S3 TTL of %v is not whole seconds up to 7 days", ttl))
	}
	if keys.AccessKeyID == "" || keys.SecretAccessKey == "" || keys.Region == "" {
		err = errors.Join(err, errors.New("sign: S3Keys need AccessKeyID, SecretAccessKey and Region"))
	}
	if err != nil {
		return nil, err
	}
	return &S3Signer{keys: keys, ttl: ttl}, nil
}

// Sign appends to public, an absolute URL of an object, the parameters that let anyone GET it. ErrURL for a URL without a
// host or with such parameters. A grant in ctx that ends earlier shortens the link.
func (s *S3Signer) Sign(ctx context.Context, public []byte) ([]byte, error) {
	p, ok := split(public)
	if !ok {
		return public, ErrURL
	}
	query, _ := p.rawQuery()
	if _, ok = p.directoryURL(); !ok || hasParam(query, "X-Amz-Signature") {
		return public, ErrURL
	}
	u, err := url.Parse(string(public[:p.end]))
	if err != nil {
		return public, ErrURL
	}
	step := int64(stepOf(s.ttl) / time.Second)
	unix := time.Now().Unix()
	date := time.Unix(unix-unix%step, 0).UTC()
	ttl := int64(s.ttl / time.Second)
	if end := expiryUnder(ctx, s.ttl) - date.Unix(); end < ttl {
		ttl = max(1, end)
	}
	return p.insert([]byte(s.params(u, date, ttl))), nil
}

func (s *S3Signer) params(u *url.URL, date time.Time, ttl int64) string {
	stamp := date.Format("20060102T150405Z")
	scope := strings.Join([]string{stamp[:8], s.keys.Region, "s3", "aws4_request"}, "/")
	ours := []string{
		"X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Credential=" + awsEscape(s.keys.AccessKeyID+"/"+scope), "X-Amz-Date=" + stamp,
		"X-Amz-Expires=" + strconv.FormatInt(ttl, 10), "X-Amz-SignedHeaders=host",
	}
	if s.keys.SessionToken != "" {
		ours = append(ours, "X-Amz-Security-Token="+awsEscape(s.keys.SessionToken))
	}
	all := slices.Concat(ours, awsQuery(u.RawQuery))
	slices.SortFunc(all, func(a, b string) int {
		nameA, valueA, _ := strings.Cut(a, "=")
		nameB, valueB, _ := strings.Cut(b, "=")
		return cmp.Or(cmp.Compare(nameA, nameB), cmp.Compare(valueA, valueB))
	})
	canonical := strings.Join([]string{
		"GET", strings.ReplaceAll(awsEscape(u.Path), "%2F", "/"), strings.Join(all, "&"), "host:" + awsHost(u), "", "host", "UNSIGNED-PAYLOAD",
	}, "\n")
	sum := sha256.Sum256([]byte(canonical))
	text := "AWS4-HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + hex.EncodeToString(sum[:])

	key := []byte("AWS4" + s.keys.SecretAccessKey)
	for _, step := range append(strings.Split(scope, "/"), text) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(step))
		key = mac.Sum(nil)
	}
	return strings.Join(ours, "&") + "&X-Amz-Signature=" + hex.EncodeToString(key)
}

// awsHost is the Host field that a client sends.
func awsHost(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if u.Scheme == "https" {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

// awsQuery brings parameters into the one spelling that is signed.
func awsQuery(raw string) (out []string) {
	for p := range strings.SplitSeq(raw, "&") {
		if p == "" {
			continue
		}
		name, value, _ := strings.Cut(p, "=")
		out = append(out, awsEscape(awsUnescape(name))+"="+awsEscape(awsUnescape(value)))
	}
	return out
}

func awsUnescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// awsEscape escapes all but the unreserved characters of RFC 3986.
func awsEscape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
