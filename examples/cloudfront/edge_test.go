package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"time"
)

var (
	found = regexp.MustCompile(`https?://[^\s"]*Key-Pair-Id=[^\s"]*`)
	made  = regexp.MustCompile(`[?&]Policy=[^\s"]*`)
)

func param(link, name string) string {
	_, rest, _ := strings.Cut(link, name+"=")
	value, _, _ := strings.Cut(rest, "&")
	return value
}

// opens checks a link as CloudFront documents it. It knows nothing of the code that made the link.
func opens(public *rsa.PublicKey, link string) error {
	decode := func(name string) []byte {
		text := strings.NewReplacer("-", "+", "_", "=", "~", "/").Replace(param(link, name))
		raw, _ := base64.StdEncoding.DecodeString(text)
		return raw
	}
	policy := decode("Policy")
	sum := sha1.Sum(policy)
	if err := rsa.VerifyPKCS1v15(public, crypto.SHA1, sum[:], decode("Signature")); err != nil || param(link, "Key-Pair-Id") != "K2" {
		return errors.Join(err, errors.New("not signed by this key"))
	}
	var doc struct {
		Statement []struct {
			Resource  string
			Condition struct {
				DateLessThan map[string]int64
			}
		}
	}
	if err := json.Unmarshal(policy, &doc); err != nil || len(doc.Statement) != 1 {
		return errors.Join(err, errors.New("not a policy"))
	}
	s := doc.Statement[0]
	resource, _, _ := strings.Cut(link, "Policy=")
	resource = strings.TrimRight(resource, "?&")
	covers, err := regexp.MatchString("^"+strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(s.Resource))+"$", resource)
	if u, _ := url.Parse(resource); err != nil || !covers || u.Path == "" {
		return errors.New(s.Resource + " does not cover " + resource)
	}
	if end := s.Condition.DateLessThan["AWS:EpochTime"]; time.Now().Unix() >= end || end > time.Now().Add(7*time.Hour).Unix() {
		return errors.New("expired, or good for ever")
	}
	return nil
}
