package cdn

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

	"github.com/hlsproxy/hlsproxy/internal/wire"
	"github.com/hlsproxy/hlsproxy/sign/internal/expiry"
	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// S3Config is for presigned URLs (AWS Signature Version 4 in the query) of Amazon S3 or a compatible store.
type S3Config struct {
	// AccessKeyID and SecretAccessKey are a pair. Only AccessKeyID is visible in links. Required.
	AccessKeyID     string
	SecretAccessKey string
	// Region is that of the bucket, such as us-east-1. Required.
	Region string
	// TTL is how long links live at most. They live for at least fifteen sixteenths of it. It is in whole seconds, at most 7
	// days. Zero: 24 hours.
	TTL time.Duration
	// SessionToken belongs to temporary credentials. Links end when these end, even if that is before the TTL. Empty: none.
	SessionToken string
}

// S3 returns a signer of absolute URLs of objects. Anyone can GET an object by its link. Each link opens one object: for long
// playlists, a CDN in front that signs prefixes is cheaper.
func S3(c S3Config) (Signer, error) {
	ttl, err := checkTTL("S3", c.TTL)
	if ttl > 7*24*time.Hour || ttl%time.Second != 0 {
		err = errors.Join(err, fmt.Errorf("cdn: S3 TTL of %v is not whole seconds up to 7 days", ttl))
	}
	if err = errors.Join(err, c.check()); err != nil {
		return nil, err
	}
	s := &single{scheme: scheme{vendor: "S3", ttl: ttl, hosts: true, fold: true, params: []string{
		"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Security-Token", "X-Amz-Signature",
	}}}
	s.sign = func(ctx context.Context, p *link.URL) ([]byte, error) {
		u, err := url.Parse(string(p.WithoutFragment()))
		if err != nil {
			return nil, fmt.Errorf("%w: it cannot be parsed", ErrURL)
		}
		step := int64(expiry.StepOf(ttl) / time.Second)
		unix := time.Now().Unix()
		date := time.Unix(unix-unix%step, 0).UTC()
		lives := int64(ttl / time.Second)
		if end := s.expires(ctx) - date.Unix(); end < lives {
			lives = max(1, end)
		}
		return []byte(c.presigned(u, date, lives)), nil
	}
	return s, nil
}

func (c *S3Config) check() error {
	if c.AccessKeyID == "" || c.SecretAccessKey == "" || c.Region == "" {
		return errors.New("cdn: S3 needs AccessKeyID, SecretAccessKey and Region")
	}
	return nil
}

// presigned returns the parameters that let anyone GET u for ttl seconds after date.
func (c *S3Config) presigned(u *url.URL, date time.Time, ttl int64) string {
	ours := []string{
		"X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Credential=" + awsEscape(c.AccessKeyID+"/"+c.scope(date)), "X-Amz-Date=" + awsStamp(date),
		"X-Amz-Expires=" + strconv.FormatInt(ttl, 10), "X-Amz-SignedHeaders=host",
	}
	if c.SessionToken != "" {
		ours = append(ours, "X-Amz-Security-Token="+awsEscape(c.SessionToken))
	}
	canonical := strings.Join([]string{
		"GET", awsPath(u), awsQuery(append(strings.Split(u.RawQuery, "&"), ours...)), "host:" + wire.Host(u.Scheme, u.Host), "", "host", unsigned,
	}, "\n")
	return strings.Join(ours, "&") + "&X-Amz-Signature=" + c.signature(canonical, date)
}

// unsigned stands for the hash of a body that is not part of the signature.
const unsigned = "UNSIGNED-PAYLOAD"

func awsStamp(date time.Time) string { return date.Format("20060102T150405Z") }

// scope is the day and the region for which a signature is valid.
func (c *S3Config) scope(date time.Time) string {
	return strings.Join([]string{date.Format("20060102"), c.Region, "s3", "aws4_request"}, "/")
}

// signature signs a canonical request.
func (c *S3Config) signature(canonical string, date time.Time) string {
	sum := sha256.Sum256([]byte(canonical))
	scope := c.scope(date)
	text := "AWS4-HMAC-SHA256\n" + awsStamp(date) + "\n" + scope + "\n" + hex.EncodeToString(sum[:])
	key := []byte("AWS4" + c.SecretAccessKey)
	for _, step := range append(strings.Split(scope, "/"), text) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(step))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}

func awsPath(u *url.URL) string {
	if u.Path == "" {
		return "/"
	}
	return strings.ReplaceAll(awsEscape(u.Path), "%2F", "/")
}

// awsQuery sorts parameters and brings them into the one spelling that is signed.
func awsQuery(params []string) string {
	var all []string
	for _, p := range params {
		if p != "" {
			name, value, _ := strings.Cut(p, "=")
			all = append(all, awsEscape(awsUnescape(name))+"="+awsEscape(awsUnescape(value)))
		}
	}
	slices.SortFunc(all, func(a, b string) int {
		nameA, valueA, _ := strings.Cut(a, "=")
		nameB, valueB, _ := strings.Cut(b, "=")
		return cmp.Or(cmp.Compare(nameA, nameB), cmp.Compare(valueA, valueB))
	})
	return strings.Join(all, "&")
}

func awsUnescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// awsEscape escapes all but the unreserved characters of RFC 3986.
func awsEscape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
