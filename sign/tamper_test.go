package sign_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

// parse splits a link at its token.
func parse(link string) (before, token, after string) {
	i := strings.Index(link, "hpt=") + len("hpt=")
	token, rest, more := strings.Cut(link[i:], "&")
	if more {
		rest = "&" + rest
	}
	return link[:i], token, rest
}

func TestEveryFlippedBitIsRefused(t *testing.T) {
	for _, s := range []*sign.Signer{signer(t, nil), signer(t, directory)} {
		g := must(s.Grant(nil))
		g.NotBefore, g.Until, g.Session = g.Expires.Add(-2*time.Hour), g.Expires.Add(time.Hour), "session"
		before, token, after := parse(must(s.URLUnder(g, "/live/a/seg.ts?x=1")))
		raw := must(base64.RawURLEncoding.DecodeString(token))
		for i := range len(raw) * 8 {
			raw[i/8] ^= 1 << (i % 8)
			_, err := s.Verify(request(before + base64.RawURLEncoding.EncodeToString(raw) + after))
			require.ErrorIs(t, err, sign.ErrBadToken, "bit %d", i)
			raw[i/8] ^= 1 << (i % 8)
		}
		for i := range len(token) * 8 {
			text := []byte(token)
			text[i/8] ^= 1 << (i % 8)
			r := request("/live/a/seg.ts?x=1")
			r.URL.RawQuery = "x=1&hpt=" + string(text)
			_, err := s.Verify(r)
			require.ErrorIs(t, err, sign.ErrBadToken, "bit %d of the text", i)
		}
		for i := range len(raw) {
			for _, cut := range [][]byte{raw[:i], raw[i+1:], append(raw[:i:i], append([]byte{0}, raw[i:]...)...)} {
				_, err := s.Verify(request(before + base64.RawURLEncoding.EncodeToString(cut) + after))
				require.ErrorIs(t, err, sign.ErrBadToken)
			}
		}
	}
}

func TestOtherSpellingsOfATokenAreRefused(t *testing.T) {
	s := signer(t, nil)
	_, token, _ := parse(must(s.URL("/a.ts")))
	try := func(query string) error {
		r := request("/a.ts")
		r.URL.RawQuery = query
		_, err := s.Verify(r)
		return err
	}
	require.NoError(t, try("hpt="+token))
	last := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", token[len(token)-1])
	for name, query := range map[string]string{
		"padded":               "hpt=" + token + "=",
		"escaped pad":          "hpt=" + token + "%3D%3D",
		"line end":             "hpt=" + token[:4] + "\n" + token[4:],
		"line end at the end":  "hpt=" + token + "\r\n",
		"space":                "hpt=" + token + " ",
		"escaped letter":       "hpt=%" + "41" + token[1:],
		"standard alphabet":    "hpt=" + strings.NewReplacer("-", "+", "_", "/").Replace(token) + "+",
		"loose bits":           "hpt=" + token[:len(token)-1] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last^1]),
		"empty":                "hpt=",
		"no value":             "hpt",
		"huge":                 "hpt=" + strings.Repeat("A", 100_000),
		"twice":                "hpt=" + token + "&hpt=" + token,
		"and an empty one":     "hpt=" + token + "&hpt",
		"and an escaped one":   "hpt=" + token + "&%68pt=" + token,
		"only an escaped one":  "h%70t=" + token,
		"and a bad one first":  "hpt=x&hpt=" + token,
		"another after it":     "hpt=" + token + "&x=1",
		"another before it":    "x=1&hpt=" + token,
		"empty parameter":      "&hpt=" + token,
		"semicolon":            "hpt=" + token + ";x=1",
		"escaped directive":    "hpt=" + token + "&%5fHLS_msn=1",
		"directive lower case": "hpt=" + token + "&_hls_msn=1",
		"not quite CMCD":       "hpt=" + token + "&CMCDx=1",
		"cmcd":                 "hpt=" + token + "&cmcd=1",
	} {
		require.ErrorIs(t, try(query), sign.ErrBadToken, name)
	}
	for name, query := range map[string]string{"none": "", "other name": "hptx=" + token, "upper case": "HPT=" + token} {
		require.ErrorIs(t, try(query), sign.ErrNoToken, name)
	}
}

func TestTamperedURLsAreRefused(t *testing.T) {
	s := signer(t, nil)
	const signed = "/live/A%20b/seg1.ts?b=2&a=1,2&a=3&url=https%3A%2F%2Fcdn.example%2Fx"
	_, token, _ := parse(must(s.URL(signed)))
	for name, u := range map[string]string{
		"another file":       strings.Replace(signed, "seg1", "seg2", 1),
		"another extension":  strings.Replace(signed, ".ts", ".key", 1),
		"case":               strings.Replace(signed, "/live/A", "/live/a", 1),
		"escaped letter":     strings.Replace(signed, "seg1", "%73eg1", 1),
		"escape in lower":    strings.Replace(signed, "%3A", "%3a", 1),
		"dot segment":        strings.Replace(signed, "/live/", "/live/./", 1),
		"dot segments":       strings.Replace(signed, "/live/", "/live/x/../", 1),
		"escaped dots":       strings.Replace(signed, "/live/", "/live/x/%2e%2e/", 1),
		"double slash":       strings.Replace(signed, "/live/", "/live//", 1),
		"escaped slash":      strings.Replace(signed, "/live/", "/live%2F", 1),
		"path parameter":     strings.Replace(signed, "seg1.ts", "seg1.ts;v=1", 1),
		"trailing slash":     strings.Replace(signed, "seg1.ts", "seg1.ts/", 1),
		"longer path":        strings.Replace(signed, "seg1.ts", "seg1.ts/x", 1),
		"NUL":                strings.Replace(signed, "seg1.ts", "seg1.ts%00", 1),
		"another target":     strings.Replace(signed, "cdn.example", "inside.example", 1),
		"order":              "/live/A%20b/seg1.ts?a=1,2&b=2&a=3&url=https%3A%2F%2Fcdn.example%2Fx",
		"order of the same":  "/live/A%20b/seg1.ts?b=2&a=3&a=1,2&url=https%3A%2F%2Fcdn.example%2Fx",
		"parameter dropped":  "/live/A%20b/seg1.ts?b=2&a=1,2&a=3",
		"parameter added":    signed + "&c=1",
		"parameter doubled":  signed + "&b=2",
		"escaped comma":      strings.Replace(signed, "1,2", "1%2C2", 1),
		"moved to the path":  strings.Replace(signed, "?b=2&", "%3Fb=2&", 1),
		"moved to the query": "/live?/A%20b/seg1.ts?b=2&a=1,2&a=3&url=https%3A%2F%2Fcdn.example%2Fx",
		"no query":           "/live/A%20b/seg1.ts?",
	} {
		link := strings.TrimSuffix(u, "?")
		if strings.Contains(link, "?") {
			link += "&hpt=" + token
		} else {
			link += "?hpt=" + token
		}
		_, err := s.Verify(request(link))
		require.ErrorIs(t, err, sign.ErrBadToken, name)
	}
}

func TestDirectoriesCannotBeLeft(t *testing.T) {
	s := signer(t, directory)
	_, token, _ := parse(must(s.URL("/live/a%20b/master.m3u8")))
	for _, path := range []string{
		"/live/a%20b", "/live/", "/live/a%20bc/x.ts", "/live/A%20b/x.ts", "/live/a+b/x.ts", "/live/%61%20b/x.ts", "/other/a%20b/x.ts",
		"/live/a%20b/../x.ts", "/live/a%20b/..", "/live/a%20b/.", "/live/a%20b/./x.ts", "/live/a%20b/%2e%2e/x.ts", "/live/a%20b/.%2E/x.ts",
		"/live/a%20b/%252e%252e/x.ts", "/live/a%20b/%25252e%25252e/x.ts", "/live/a%20b/%252e./x.ts", "/live/a%20b/%25%32%65%2e/x.ts",
		"/live/a%20b/..;/x.ts", "/live/a%20b/..;v=1/x.ts", "/live/a%20b/%2e%2e%3b/x.ts", "/live/a%20b/.;/x.ts",
		"/live/a%20b/..%2fx.ts", "/live/a%20b/x%2F..%2Fy.ts", "/live/a%20b/x%252fy.ts", "/live/a%20b/x%5cy.ts", "/live/a%20b/..%255C..%255cy.ts",
		"/live/a%20b/x.ts%00", "/live/a%20b/x.ts%2500.m3u8", "/live/a%20b//x.ts", "//live/a%20b/x.ts", "/live//a%20b/x.ts", "/live/a%20b/x//",
		"/live/a%20b/%c0%ae%c0%ae/x.ts", "/live/a%20b/%25c0%25af", "/live/a%20b/%" + strings.Repeat("25", 9) + "41", "/live/a%20b\\x.ts", "/live/a%20b/x\\..\\y.ts",
	} {
		r := request("/?hpt=" + token)
		r.URL.Path, r.URL.RawPath = must(url.PathUnescape(path)), path // by a client that does not resolve dot segments
		_, err := s.Verify(r)
		require.ErrorIs(t, err, sign.ErrBadToken, path)
	}
	for _, path := range []string{"/live/a%20b/", "/live/a%20b/.hidden/x.ts", "/live/a%20b/...", "/live/a%20b/a..b/x..ts", "/live/a%20b/x%2520y.ts", "/live/a%20b/x;v=1.ts",
		"/live/a%20b/100%25.ts", "/live/a%20b/%C3%A9.ts", "/live/a%20b/v/"} {
		_, err := s.Verify(request(path + "?hpt=" + token))
		require.NoError(t, err, path)
	}
}

func TestTokensOfOthersAreRefused(t *testing.T) {
	s := signer(t, nil)
	for name, other := range map[string]*sign.Signer{
		"another secret under the same id": signer(t, func(c *sign.Config) { c.Keys = []sign.Key{{ID: "a", Secret: keyB.Secret}} }),
		"an unknown key":                   signer(t, func(c *sign.Config) { c.Keys = []sign.Key{keyB} }),
		"the same secret under another id": signer(t, func(c *sign.Config) { c.Keys = []sign.Key{{ID: "b", Secret: keyA.Secret}} }),
	} {
		_, err := s.Verify(request(must(other.URL("/a.ts"))))
		require.ErrorIs(t, err, sign.ErrBadToken, name)
	}
	exact := must(s.URL("/live/"))
	_, token, _ := parse(exact)
	raw := must(base64.RawURLEncoding.DecodeString(token))
	asDirectory := append([]byte{raw[0] | 1, 1}, raw[1:]...)
	_, err := s.Verify(request("/live/x.ts?hpt=" + base64.RawURLEncoding.EncodeToString(asDirectory)))
	require.ErrorIs(t, err, sign.ErrBadToken, "a path is not a directory")
}
