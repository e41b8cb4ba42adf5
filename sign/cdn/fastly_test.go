package cdn_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/hlsproxy/hlsproxy/sign/cdn"
	"github.com/stretchr/testify/require"
)

// This is the key of the examples that Fastly publishes. The token beside it there was made with another key. The token below
// was made as in those examples, by another implementation of HMAC.
const fastlyKey = "iqFPeN2u+Z0Lm5IrsKaOFKRqEU5Gw8ePtaEkHZWuD24="

func TestFastly(t *testing.T) {
	at(t, 1441307151, func(t *testing.T) {
		f := must(cdn.Fastly(cdn.FastlyConfig{Key: fastlyKey, TTL: time.Second}))
		const want = "token=1441307151_2bfc5de65ab7c7faffde2b29ac82d4f5177f16d7"
		for u, signed := range map[string]string{
			"/foo/bar.html":                       "/foo/bar.html?" + want,
			"http://www.example.com/foo/bar.html": "http://www.example.com/foo/bar.html?" + want,
			"/foo/bar.html?x=1,2#f":               "/foo/bar.html?x=1,2&" + want + "#f",
		} {
			require.Equal(t, signed, string(must(f.Sign(t.Context(), []byte(u)))))
		}
	})
}

func TestFastlyWithQueryAndSHA256(t *testing.T) {
	f := must(cdn.Fastly(cdn.FastlyConfig{Key: fastlyKey, TTL: time.Hour, SHA256: true, WithQuery: true}))
	for _, u := range []string{"/a%20b/1.ts", "/a/1.ts?x=1,2"} {
		link := string(must(f.Sign(t.Context(), []byte(u))))
		expires, mac, _ := strings.Cut(must(url.Parse(link)).Query().Get("token"), "_")
		require.NoError(t, expired(expires))
		h := hmac.New(sha256.New, must(base64.StdEncoding.DecodeString(fastlyKey)))
		h.Write([]byte(u + expires))
		require.Equal(t, hex.EncodeToString(h.Sum(nil)), mac, link)
	}
	short := string(must(f.Sign(sign.NewContext(t.Context(), sign.Grant{Expires: time.Unix(2e9, 0)}), []byte("/a.ts"))))
	require.NotContains(t, short, "token=2000000000_", "never more than the viewer's grant, nor than the TTL")
}

func TestFastlyRefuses(t *testing.T) {
	f := must(cdn.Fastly(cdn.FastlyConfig{Key: fastlyKey}))
	for _, u := range []string{"", "a.ts", "skd://x", "/a/../b", "/a%2fb"} {
		_, err := f.Sign(t.Context(), []byte(u))
		require.ErrorIs(t, err, cdn.ErrURL, u)
	}
	for _, key := range []string{"", "short", "c2hvcnQ=", base64.StdEncoding.EncodeToString(make([]byte, 32))} {
		_, err := cdn.Fastly(cdn.FastlyConfig{Key: key, TTL: -1})
		require.Len(t, strings.Split(err.Error(), "\n"), 2, key)
	}
}
