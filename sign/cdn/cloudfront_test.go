package cdn_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/hlsproxy/hlsproxy/sign/cdn"
	"github.com/stretchr/testify/require"
)

// counted is a key that counts its signatures.
type counted struct {
	crypto.Signer
	n   atomic.Int64
	err error
}

func (c *counted) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	c.n.Add(1)
	if c.err != nil {
		return nil, c.err
	}
	return c.Signer.Sign(r, digest, opts)
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })

func cloudFront(t testing.TB) (cdn.Signer, *counted) {
	t.Helper()
	key := &counted{Signer: rsaKey()}
	c, err := cdn.CloudFront(cdn.CloudFrontConfig{KeyPairID: "K2JCJMDEHXQW5F", Key: key, TTL: time.Hour})
	require.NoError(t, err)
	return c, key
}

// edge decides as CloudFront documents it: which policy a request carries, which key signed it, what it covers and until when.
func edge(public crypto.PublicKey, link string) error {
	u, err := url.Parse(link)
	if err != nil {
		return err
	}
	var kept []string
	for p := range strings.SplitSeq(u.RawQuery, "&") {
		name, _, _ := strings.Cut(p, "=")
		switch name {
		case "Policy", "Signature", "Key-Pair-Id", "Expires", "Hash-Algorithm", "":
		default:
			kept = append(kept, p)
		}
	}
	base := u.Scheme + "://" + u.Host + u.EscapedPath()
	if kept != nil {
		base += "?" + strings.Join(kept, "&")
	}
	q := u.Query()
	policy := fmt.Appendf(nil, `{"Statement":[{"Resource":"%s","Condition":{"DateLessThan":{"AWS:EpochTime":%s}}}]}`, base, q.Get("Expires"))
	if text := q.Get("Policy"); text != "" {
		policy = edgeBytes(text)
	}
	if err := edgeSignature(public, policy, edgeBytes(q.Get("Signature")), q.Get("Hash-Algorithm")); err != nil || q.Get("Key-Pair-Id") != "K2JCJMDEHXQW5F" {
		return errors.Join(err, errors.New("not signed"))
	}
	return edgePolicy(policy, base)
}

func edgePolicy(policy []byte, base string) error {
	var doc struct {
		Statement []struct {
			Resource  string
			Condition struct {
				DateLessThan map[string]int64
			}
		}
	}
	if err := json.Unmarshal(policy, &doc); err != nil || len(doc.Statement) != 1 {
		return fmt.Errorf("policy %s: %w", policy, err)
	}
	s := doc.Statement[0]
	if prefix, wild := strings.CutSuffix(s.Resource, "*"); base != s.Resource && !(wild && strings.HasPrefix(base, prefix)) {
		return fmt.Errorf("%s does not cover %s", s.Resource, base)
	}
	if time.Now().Unix() >= s.Condition.DateLessThan["AWS:EpochTime"] {
		return errors.New("expired")
	}
	return nil
}

func edgeSignature(public crypto.PublicKey, policy, signature []byte, hash string) error {
	h, digest := crypto.SHA1, sha1.Sum(policy)
	sum := digest[:]
	if hash == "SHA256" {
		d := sha256.Sum256(policy)
		h, sum = crypto.SHA256, d[:]
	}
	if key, ok := public.(*ecdsa.PublicKey); ok {
		point, err := key.Bytes()
		if err != nil {
			return err
		}
		if !once(string(sum)+string(signature)+string(point), func() bool { return ecdsa.VerifyASN1(key, sum, signature) }) {
			return errors.New("ecdsa")
		}
		return nil
	}
	return rsa.VerifyPKCS1v15(public.(*rsa.PublicKey), h, sum, signature)
}

func edgeBytes(text string) []byte {
	b, _ := base64.StdEncoding.DecodeString(strings.NewReplacer("-", "+", "_", "=", "~", "/").Replace(text))
	return b
}

func TestCloudFrontSignsAPlaylistOnce(t *testing.T) {
	c, key := cloudFront(t)
	for i := range 1000 {
		link := string(must(c.Sign(t.Context(), fmt.Appendf(nil, "https://d1.cloudfront.net/vod/title/%d.ts?x=1,2#f", i))))
		require.True(t, strings.HasSuffix(link, "#f"))
		require.NoError(t, edge(rsaKey().Public(), link))
	}
	require.EqualValues(t, 1, key.n.Load())
	below := must(c.Sign(t.Context(), []byte("https://d1.cloudfront.net/vod/title/v1/1.ts")))
	require.Error(t, edge(rsaKey().Public(), strings.Replace(string(below), "/v1/", "/", 1)), "a link opens its own directory and no more")
	require.EqualValues(t, 2, key.n.Load())
	for _, u := range []string{"https://d1.cloudfront.net/vod/other/1.ts", "https://d2.cloudfront.net/vod/title/1.ts", "https://d1.cloudfront.net/1.ts"} {
		require.NoError(t, edge(rsaKey().Public(), string(must(c.Sign(t.Context(), []byte(u))))))
	}
	require.EqualValues(t, 5, key.n.Load())

	link := string(must(c.Sign(t.Context(), []byte("https://d3.cloudfront.net/a/1.ts?x"))))
	require.NoError(t, edge(rsaKey().Public(), strings.Replace(link, "/1.ts?x", "/b/2.ts?y", 1)))
	require.Error(t, edge(rsaKey().Public(), strings.Replace(link, "/a/", "/b/", 1)))
	require.Error(t, edge(rsaKey().Public(), strings.Replace(link, "d3", "d4", 1)))
}

func TestCloudFrontCannedPolicy(t *testing.T) {
	c, _ := cloudFront(t)
	for _, u := range []string{"https://d1.cloudfront.net/a/horizon.jpg?size=large&license=yes", "http://d1.cloudfront.net/", "https://d1.cloudfront.net/a.mp4"} {
		link := must(c.URL(u))
		require.NotContains(t, link, "Policy=")
		require.NoError(t, edge(rsaKey().Public(), link), link)
		require.Error(t, edge(rsaKey().Public(), strings.Replace(link, "cloudfront.net/", "cloudfront.net/x", 1)))
		require.Error(t, edge(rsaKey().Public(), strings.Replace(link, "Expires=1", "Expires=2", 1)))
	}
}

func TestCloudFrontKeysAndHashes(t *testing.T) {
	p256 := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	for _, key := range []crypto.Signer{rsaKey(), p256} {
		for _, sha256 := range []bool{false, true} {
			c := must(cdn.CloudFront(cdn.CloudFrontConfig{KeyPairID: "K2JCJMDEHXQW5F", Key: key, SHA256: sha256}))
			require.NoError(t, edge(key.Public(), must(c.URL("https://h/a.ts"))))
			link := string(must(c.Sign(t.Context(), []byte("https://h/a.ts"))))
			require.NoError(t, edge(key.Public(), link))
			require.Equal(t, sha256, strings.Contains(link, "Hash-Algorithm"))
			cookies := must(c.Cookies("https://h/a/"))
			values := map[string]string{}
			for _, k := range cookies {
				require.True(t, k.Secure && k.HttpOnly && k.Valid() == nil)
				values[k.Name] = k.Value
			}
			policy := edgeBytes(values["CloudFront-Policy"])
			require.NoError(t, edgeSignature(key.Public(), policy, edgeBytes(values["CloudFront-Signature"]), values["CloudFront-Hash-Algorithm"]))
			require.NoError(t, edgePolicy(policy, "https://h/a/b/1.ts"))
			require.Equal(t, "K2JCJMDEHXQW5F", values["CloudFront-Key-Pair-Id"])
		}
	}
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	short := must(rsa.GenerateKey(rand.Reader, 1024))
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	for _, key := range []crypto.Signer{nil, ed, short, p384} {
		_, err := cdn.CloudFront(cdn.CloudFrontConfig{KeyPairID: "a b", Key: key, TTL: time.Millisecond})
		require.Len(t, strings.Split(err.Error(), "\n"), 3)
	}
}

func TestCloudFrontExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, key := cloudFront(t)
		time.Sleep(time.Until(time.Now().Truncate(time.Hour / 16).Add(time.Hour/16 + time.Second)))
		u := []byte("https://d1.cloudfront.net/live/1.ts")
		first := string(must(c.Sign(t.Context(), u)))
		time.Sleep(3 * time.Minute)
		require.Equal(t, first, string(must(c.Sign(t.Context(), u))))
		time.Sleep(57 * time.Minute)
		require.NoError(t, edge(rsaKey().Public(), first), "at least TTL")
		require.NotEqual(t, first, string(must(c.Sign(t.Context(), u))))
		time.Sleep(time.Hour / 16)
		require.Error(t, edge(rsaKey().Public(), first), "at most a step more")
		require.EqualValues(t, 2, key.n.Load())

		ctx := sign.NewContext(t.Context(), sign.Grant{Expires: time.Now().Add(time.Minute)})
		short := string(must(c.Sign(ctx, u)))
		time.Sleep(61 * time.Second)
		require.Error(t, edge(rsaKey().Public(), short), "never more than the viewer's grant")
		ctx = sign.NewContext(t.Context(), sign.Grant{Expires: time.Now().Add(time.Minute), Until: time.Now().Add(24 * time.Hour)})
		long := string(must(c.Sign(ctx, u)))
		time.Sleep(61 * time.Second)
		require.NoError(t, edge(rsaKey().Public(), long))
	})
}

func TestCloudFrontRefuses(t *testing.T) {
	c, key := cloudFront(t)
	for _, u := range []string{"", "/a.ts", "//h/a.ts", "a.ts", "https://h/*/a.ts", "https://h/a/../b.ts", "https://h/%2e%2e/b.ts", "https://h/a\\../b.ts", "skd://h/a"} {
		_, err := c.Sign(t.Context(), []byte(u))
		require.ErrorIs(t, err, cdn.ErrURL, u)
		_, err = c.URL(u)
		require.ErrorIs(t, err, cdn.ErrURL, u)
	}
	for _, r := range []string{"/a/", "h/a/", "https://h/a", "https://h/*/", "https://h/#x", "https://h/?x", "https://h/../"} {
		_, err := c.Cookies(r)
		require.ErrorIs(t, err, cdn.ErrURL, r)
	}
	key.err = errors.New("module is locked")
	_, err := c.Sign(t.Context(), []byte("https://h/a.ts"))
	require.ErrorIs(t, err, key.err)
	_, err = c.URL("https://h/a.ts")
	require.ErrorIs(t, err, key.err)
	_, err = c.Cookies("https://h/")
	require.ErrorIs(t, err, key.err)
	key.err = nil
	_, err = c.Sign(t.Context(), []byte("https://h/a.ts"))
	require.NoError(t, err, "a failure is not kept")
}

func TestCloudFrontManyAtOnce(t *testing.T) {
	c, key := cloudFront(t)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			u := fmt.Sprintf("https://h/%d/%d.ts", i%4, i)
			link, err := c.Sign(context.Background(), []byte(u))
			if err != nil || edge(rsaKey().Public(), string(link)) != nil {
				t.Errorf("%s: %v", link, err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 4, key.n.Load())
}

// A playlist of 1,000 segments costs one RSA signature.
func ExampleCloudFront() {
	key, err := rsa.GenerateKey(rand.Reader, 2048) // yours, from x509.ParsePKCS1PrivateKey
	if err != nil {
		fmt.Println(err)
		return
	}
	signer, err := cdn.CloudFront(cdn.CloudFrontConfig{KeyPairID: "K2JCJMDEHXQW5F", Key: key, TTL: 6 * time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	var params []string
	for _, segment := range []string{"https://d111111abcdef8.cloudfront.net/vod/a/1.ts", "https://d111111abcdef8.cloudfront.net/vod/a/2.ts"} {
		link, err := signer.Sign(context.Background(), []byte(segment))
		if err != nil {
			fmt.Println(err)
			return
		}
		u, query, _ := strings.Cut(string(link), "?")
		values, _ := url.ParseQuery(query)
		fmt.Println(path.Base(u), len(values), values.Get("Key-Pair-Id"))
		params = append(params, query)
	}
	fmt.Println(params[0] == params[1])
	// Output:
	// 1.ts 3 K2JCJMDEHXQW5F
	// 2.ts 3 K2JCJMDEHXQW5F
	// true
}
