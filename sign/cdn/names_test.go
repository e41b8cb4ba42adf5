package cdn_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/sign/cdn"
	"github.com/stretchr/testify/require"
)

var p256 = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))

// vendors are all signers. Each has the check that its vendor publishes, which sees nothing but the request of a client.
func vendors() map[string]struct {
	cdn.Signer
	edge func(link string) error
} {
	s3 := cdn.S3Config{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", Region: "us-east-1"}
	out := map[string]struct {
		cdn.Signer
		edge func(link string) error
	}{
		"cloudfront": {must(cdn.CloudFront(cdn.CloudFrontConfig{KeyPairID: "K2JCJMDEHXQW5F", Key: p256})), func(link string) error { return edge(p256.Public(), link) }},
		"fastly":     {must(cdn.Fastly(cdn.FastlyConfig{Key: fastlyKey})), func(link string) error { return fastlyEdge(link, false) }},
		"fastly url": {must(cdn.Fastly(cdn.FastlyConfig{Key: fastlyKey, WithQuery: true})), func(link string) error { return fastlyEdge(link, true) }},
		"nginx":      {must(cdn.Nginx(cdn.NginxConfig{Expression: "$secure_link_expires$uri secret"})), nginxServer},
		"s3":         {must(cdn.S3(s3)), func(link string) error { return s3Server(link, s3.SecretAccessKey) }},
	}
	for name, c := range networks {
		out[name] = c
	}
	return out
}

func fastlyEdge(link string, whole bool) error {
	u := must(url.Parse(link))
	signed, token, _ := strings.Cut(u.RequestURI(), "token=")
	if expires, mac, ok := strings.Cut(token, "_"); ok {
		text := u.EscapedPath()
		if whole {
			text = signed[:len(signed)-1]
		}
		h := hmac.New(sha1.New, must(base64.StdEncoding.DecodeString(fastlyKey)))
		h.Write([]byte(text + expires))
		if mac == hex.EncodeToString(h.Sum(nil)) {
			return expired(expires)
		}
	}
	return errors.New("token")
}

// nginxServer takes the first argument of a name, in any case.
func nginxServer(link string) error {
	u := must(url.Parse(link))
	arg := func(name string) string {
		for p := range strings.SplitSeq(u.RawQuery, "&") {
			if n, v, _ := strings.Cut(p, "="); strings.EqualFold(n, name) {
				return v
			}
		}
		return ""
	}
	sum := md5.Sum([]byte(arg("expires") + u.Path + " secret"))
	if base64.RawURLEncoding.EncodeToString(sum[:]) != arg("md5") {
		return errors.New("md5")
	}
	return expired(arg("expires"))
}

// browser is the URL that a browser requests (WHATWG URL, section 4.4). It is empty if the browser requests nothing.
func browser(link string) string {
	link = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(link)
	scheme, rest, _ := strings.Cut(link, "://")
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, hasQuery := strings.Cut(rest, "?")
	host, path, _ := strings.Cut(rest, "/")
	encode := func(s, set string) string {
		var b strings.Builder
		for i := range len(s) {
			if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(set, c) >= 0 {
				fmt.Fprintf(&b, "%%%02X", c)
			} else {
				b.WriteByte(c)
			}
		}
		return b.String()
	}
	var segments []string
	for segment := range strings.SplitSeq(strings.ReplaceAll(path, "\\", "/"), "/") {
		dots := strings.ReplaceAll(strings.ToLower(segment), "%2e", ".")
		if dots == "." || dots == ".." {
			return ""
		}
		segments = append(segments, encode(segment, "\"<>^`{}"))
	}
	out := scheme + "://" + host + "/" + strings.Join(segments, "/")
	if hasQuery {
		out += "?" + encode(query, "\"<>'")
	}
	return out
}

// For each name of two bytes, as a file, a directory or a query, the network accepts the link, or Sign returns an error. With
// ALL_NAMES in the environment the test tries all names, which takes half a minute.
func TestAllNamesOfTwoBytes(t *testing.T) {
	step := 13 // each byte in each place, and a twentieth of the other names
	if os.Getenv("ALL_NAMES") != "" {
		step = 1
	}
	refusals := map[string]string{ // bytes for which a directory is refused
		"akamai": "&'*?!~%+;\"<>\\^`{|} ", "cloudfront": "*",
	}
	for name, v := range vendors() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := 0; i < 1<<16; i += step {
				pair := string([]byte{byte(i >> 8), byte(i)})
				forms := []string{"https://h/vod/t/" + pair + ".ts"}
				if i%7 == 0 {
					forms = append(forms, "https://h/vod/t/1.ts?x="+pair+"&y", "https://h/vod/d"+pair+"/1.ts")
				}
				for k, u := range forms {
					signed, err := v.Sign(t.Context(), []byte(u))
					if err != nil {
						require.ErrorIs(t, err, cdn.ErrURL)
						hard := strings.ContainsAny(pair, "\x00\\/%.;") || pair[0] == 0xc0 || pair[0] == 0xc1 || k == 2 && strings.ContainsFunc(pair, func(r rune) bool {
							return strings.ContainsRune(refusals[name], r) || r < ' ' || r >= 0x7f
						})
						require.True(t, hard, "%q: %v", u, err)
						continue
					}
					if sent := browser(string(signed)); sent != "" && v.edge(sent) != nil {
						require.NoError(t, v.edge(sent), "%q became %q", u, signed)
					}
				}
			}
		})
	}
}

// Parameters of the scheme are replaced in every spelling, and nothing else changes.
func TestParametersOfTheSchemeAreReplaced(t *testing.T) {
	for name, v := range vendors() {
		t.Run(name, func(t *testing.T) {
			for _, u := range []string{"https://h/a/1.ts", "https://h/a/1.ts?x=1,2&y", "https://h/a/1.ts?x=%2F#f"} {
				once := string(must(v.Sign(t.Context(), []byte(u))))
				require.Equal(t, once, string(must(v.Sign(t.Context(), []byte(once)))))
				require.NoError(t, v.edge(browser(once)))
			}
			for _, query := range []string{
				"Policy=..&Expires=5&Signature=6&Key-Pair-Id=K", "%45xpires=5", "hdnts=x&%68dnts=y", "token=x&expires=1&token_path=/", "URLPrefix=x", "MD5=x&EXPIRES=1", "x-amz-signature=1&X-Amz-Date=2",
			} {
				must(v.Sign(t.Context(), []byte("https://h/a/0.ts"))) // the quick way is open
				link := string(must(v.Sign(t.Context(), []byte("https://h/a/1.ts?q=1&"+query))))
				require.NoError(t, v.edge(browser(link)), link)
				require.Contains(t, link, "?q=1&")
			}
			require.NoError(t, v.edge(browser(must(v.URL("https://h/a/b c.ts?x='")))))
		})
	}
}

func TestCannedPolicyIsForWhatABrowserSends(t *testing.T) {
	c := vendors()["cloudfront"]
	for _, u := range []string{
		"https://h/a/1.ts?x='1'", "https://h/a/1.ts?", "https://h/a/1.ts?Expires=5", "https://H:443/a b.ts", "https://u:p@h/ü.ts", "https://h", "https://h/a/1.ts?x=a b|c", "https://h/a//b.ts",
	} {
		link := must(c.URL(u))
		sent := strings.NewReplacer("u:p@", "", "H:443", "h").Replace(browser(link))
		require.NoError(t, c.edge(sent), link)
	}
	for _, u := range []string{"https://h/a*.ts", "https://h/a.ts?x=*"} {
		_, err := c.URL(u)
		require.ErrorIs(t, err, cdn.ErrURL, u)
	}
}

func TestSignersWithoutCookies(t *testing.T) {
	for name, v := range vendors() {
		_, err := v.Cookies("https://h/a/")
		require.Equal(t, name != "cloudfront" && name != "media cdn", errors.Is(err, cdn.ErrNoCookies), name)
	}
}

func TestTheQuickWayKeepsExpiriesApart(t *testing.T) {
	v := must(cdn.Bunny(cdn.BunnyConfig{SecurityKey: "SecurityKey", TTL: 24 * time.Hour}))
	short := must(cdn.Bunny(cdn.BunnyConfig{SecurityKey: "SecurityKey", TTL: time.Second}))
	require.NotEqual(t, string(must(v.Sign(t.Context(), []byte("/a/1.ts")))), string(must(short.Sign(t.Context(), []byte("/a/1.ts")))))
}
