package cdn_test

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/hlsproxy/hlsproxy/sign/cdn"
	"github.com/stretchr/testify/require"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

const akamaiKey = "00112233445566778899aabbccddeeff"

var edKey = ed25519.NewKeyFromSeed([]byte("0123456789abcdef0123456789abcdef"))

// networks are the schemes that sign a prefix. Each has a reader that knows nothing of the signer.
var networks = map[string]struct {
	cdn.Signer
	edge func(link string) error
}{
	"akamai":    {must(cdn.Akamai(cdn.AkamaiConfig{Key: akamaiKey, TTL: time.Hour})), akamaiEdge},
	"bunny":     {must(cdn.Bunny(cdn.BunnyConfig{SecurityKey: "SecurityKey", TTL: time.Hour})), bunnyEdge},
	"media cdn": {must(cdn.MediaCDN(cdn.MediaCDNConfig{KeyName: "key-1", Key: edKey, TTL: time.Hour})), mediaEdge},
}

func alike(t *testing.T, s cdn.Signer, u string) bool {
	t.Helper()
	a, ok := s.(interface {
		SignAlike(context.Context, []byte) bool
	})
	require.True(t, ok)
	return a.SignAlike(t.Context(), []byte(u))
}

// checked remembers which signatures are valid. All files of a directory have the same signature.
var checked sync.Map

func once(signature string, check func() bool) bool {
	ok, _ := checked.LoadOrStore(signature, sync.OnceValue(check))
	return ok.(func() bool)()
}

func expired(text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && time.Now().Unix() >= n {
		return errors.New("expired")
	}
	return err
}

func akamaiEdge(link string) error {
	u := must(url.Parse(link))
	text := u.Query().Get("hdnts")
	fields, mac, _ := strings.Cut(text, "~hmac=")
	h := hmac.New(sha256.New, must(hex.DecodeString("00112233445566778899aabbccddeeff")))
	h.Write([]byte(fields))
	if hex.EncodeToString(h.Sum(nil)) != mac {
		return errors.New("hmac")
	}
	exp, acl, _ := strings.Cut(strings.TrimPrefix(fields, "exp="), "~acl=")
	if prefix, wild := strings.CutSuffix(acl, "*"); !wild || !strings.HasPrefix(u.EscapedPath(), prefix) {
		return errors.New("acl")
	}
	return expired(exp)
}

func bunnyEdge(link string) error {
	u := must(url.Parse(link))
	q := u.Query()
	if q.Get("token_ignore_params") != "true" || !strings.HasPrefix(u.Path, q.Get("token_path")) {
		return errors.New("path")
	}
	h := hmac.New(sha256.New, []byte("SecurityKey"))
	fmt.Fprintf(h, "%s%stoken_ignore_params=true&token_path=%s", q.Get("token_path"), q.Get("expires"), q.Get("token_path"))
	if "HS256-"+base64.RawURLEncoding.EncodeToString(h.Sum(nil)) != q.Get("token") {
		return errors.New("token")
	}
	return expired(q.Get("expires"))
}

func mediaEdge(link string) error {
	_, signed, _ := strings.Cut(link, "URLPrefix=")
	signed, _, _ = strings.Cut("URLPrefix="+signed, "#")
	signed, signature, _ := strings.Cut(signed, "&Signature=")
	q := must(url.ParseQuery(signed))
	raw, _ := base64.RawURLEncoding.DecodeString(signature)
	if q.Get("KeyName") != "key-1" || !once(signed+signature, func() bool { return ed25519.Verify(edKey.Public().(ed25519.PublicKey), []byte(signed), raw) }) {
		return errors.New("signature")
	}
	if !strings.HasPrefix(link, string(must(base64.RawURLEncoding.DecodeString(q.Get("URLPrefix"))))) {
		return errors.New("prefix")
	}
	return expired(q.Get("Expires"))
}

func TestPrefixSchemes(t *testing.T) {
	for name, c := range networks {
		t.Run(name, func(t *testing.T) {
			var params string
			must(c.Sign(t.Context(), []byte("https://h/vod/1.ts")))
			for _, u := range []string{"https://h/vod/a-b/1.ts", "https://h/vod/a-b/2.ts?x=1,2#f", "https://h/vod/a-b/"} {
				link := string(must(c.Sign(t.Context(), []byte(u))))
				require.NoError(t, c.edge(link), link)
				_, query, _ := strings.Cut(link, "?")
				query, _, _ = strings.Cut(strings.TrimPrefix(query, "x=1,2&"), "#")
				if params != "" {
					require.Equal(t, params, query, "one for all beside each other")
				}
				params = query
			}
			require.Error(t, c.edge("https://h/vod/c/1.ts?"+params), "nobody gets what opens more because others watch that")
			link := string(must(c.Sign(t.Context(), []byte("https://h/vod/a-b/1.ts"))))
			require.NoError(t, c.edge(strings.Replace(link, "/1.ts", "/v/3.ts", 1)))
			require.Error(t, c.edge(strings.Replace(link, "a-b/", "c/", 1)))
			i := strings.LastIndexAny(link, "0123456789")
			require.Error(t, c.edge(link[:i]+string(link[i]^1)+link[i+1:]))
			for _, u := range []string{"https://h/root.ts", "https://h/vod/b/1.ts"} {
				require.NoError(t, c.edge(string(must(c.Sign(t.Context(), []byte(u))))), u)
			}
			for _, u := range []string{"https://h/vod/v1/s%d.ts", "https://h/vod/%d", "https://h/vod/s1.ts?x=%d%%2%d"} {
				of := func(i int) string {
					return strings.ReplaceAll(strings.ReplaceAll(u, "%%", "%"), "%d", strconv.Itoa(i))
				}
				one := string(must(c.Sign(t.Context(), []byte(of(1)))))
				require.True(t, alike(t, c.Signer, of(1)))
				require.Equal(t, of(70)+one[len(of(1)):], string(must(c.Sign(t.Context(), []byte(of(70))))))
			}
			require.False(t, alike(t, c.Signer, "https://h/vod/%41.ts"))
			for i := range 1100 { // more directories than are kept
				must(c.Sign(t.Context(), fmt.Appendf(nil, "https://h/d%d/1.ts", i)))
			}
			for _, u := range []string{"", "a.ts", "skd://x", "https://h/a/../b.ts", "https://h/%252e%252e/b.ts", "https://h/a/..\\/b.ts", "https://h/a%2fb.ts"} {
				_, err := c.Sign(t.Context(), []byte(u))
				require.ErrorIs(t, err, cdn.ErrURL, u)
			}
		})
	}
}

// The fast path, for a file beside the one before, has the result of the slow path.
func TestPrefixSchemesSignFilesOfOneDirectory(t *testing.T) {
	for name, c := range networks {
		t.Run(name, func(t *testing.T) {
			for _, rest := range []string{
				"1.ts", "1.ts?x=1,2", "1.ts?", "1.ts?x#f", "1.ts#f", "", "?x", ".1.ts", "..", "../1.ts", "%2e%2e/1.ts", "/1.ts", "v/1.ts", "a b.ts", "a*.ts", "1.ts?a b",
				"1.ts?\"", "1;v.ts", "1.ts?hdnts=1", "1.ts?URLPrefix=1", "1.ts?KeyName", "1.ts?x&token=1", "1.ts?expires=1", "1.ts?xtoken=1", "é.ts",
			} {
				must(c.Sign(t.Context(), []byte("https://h/other/1.ts")))
				want, wantErr := c.Sign(t.Context(), []byte("https://h/vod/a/"+rest))
				must(c.Sign(t.Context(), []byte("https://h/vod/a/1.ts")))
				got, err := c.Sign(t.Context(), []byte("https://h/vod/a/"+rest))
				require.Equal(t, wantErr, err, rest)
				require.Equal(t, string(want), string(got), rest)
			}
		})
	}
}

func TestPrefixSchemesExpire(t *testing.T) {
	for name, c := range networks {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(time.Now().Truncate(time.Hour / 16).Add(time.Hour/16 + time.Second)))
			u := []byte("https://h/live/" + name[:3] + "/1.ts")
			first := string(must(c.Sign(t.Context(), u)))
			time.Sleep(3 * time.Minute)
			require.Equal(t, first, string(must(c.Sign(t.Context(), u))), name)
			time.Sleep(57 * time.Minute)
			require.NoError(t, c.edge(first))
			time.Sleep(time.Hour / 16)
			require.Error(t, c.edge(first))
			short := string(must(c.Sign(sign.NewContext(t.Context(), sign.Grant{Expires: time.Now().Add(time.Minute)}), u)))
			time.Sleep(61 * time.Second)
			require.Error(t, c.edge(short))
		})
	}
}

func TestAkamai(t *testing.T) {
	a := must(cdn.Akamai(cdn.AkamaiConfig{Param: "hdnea", Key: strings.ToUpper(akamaiKey), Salt: "pinch"}))
	link := string(must(a.Sign(t.Context(), []byte("/a/1.ts"))))
	require.Regexp(t, `^/a/1\.ts\?hdnea=exp=\d+~acl=/a/\*~hmac=[0-9a-f]{64}$`, link)
	require.Error(t, akamaiEdge(strings.Replace(link, "hdnea", "hdnts", 1)), "the salt counts")
	for _, u := range []string{"/a*/1.ts", "/a!b/1.ts", "/a~b/1.ts", "/a%20b/1.ts", "/a b/1.ts", "/a&b/1.ts", "/a'b/1.ts", "/a+b/1.ts"} {
		_, err := a.Sign(t.Context(), []byte(u))
		require.ErrorIs(t, err, cdn.ErrURL, u)
	}
	_, err := cdn.Akamai(cdn.AkamaiConfig{Param: "a b", Key: "xyz", TTL: -1})
	require.Len(t, strings.Split(err.Error(), "\n"), 3)
	require.NotContains(t, err.Error(), "xyz")
}

func TestBunnyAndMediaCDNRefuse(t *testing.T) {
	_, err := cdn.Bunny(cdn.BunnyConfig{TTL: -1})
	require.Len(t, strings.Split(err.Error(), "\n"), 2)
	_, err = cdn.MediaCDN(cdn.MediaCDNConfig{TTL: -1})
	require.Len(t, strings.Split(err.Error(), "\n"), 3)
	m := must(cdn.MediaCDN(cdn.MediaCDNConfig{KeyName: "key-1", Key: edKey}))
	_, err = m.Sign(t.Context(), []byte("/a/1.ts"))
	require.ErrorIs(t, err, cdn.ErrURL, "the prefix has a host")
	for _, prefix := range []string{"/a/", "https://h/a", "https://h/a/?x", "https://h/../", "x"} {
		_, err = m.Cookies(prefix)
		require.ErrorIs(t, err, cdn.ErrURL, prefix)
	}
	for name, c := range networks {
		if link, err := c.Sign(t.Context(), []byte("https://h/a%20b/1.ts")); name != "akamai" {
			require.NoError(t, err)
			require.NoError(t, c.edge(string(link)))
		}
	}
	c := must(m.Cookies("https://h/a/"))[0]
	require.NoError(t, c.Valid())
	signed, signature, _ := strings.Cut(c.Value, ":Signature=")
	require.True(t, ed25519.Verify(edKey.Public().(ed25519.PublicKey), []byte(signed), must(base64.RawURLEncoding.DecodeString(signature))))
	require.Regexp(t, `^URLPrefix=aHR0cHM6Ly9oL2Ev:Expires=\d+:KeyName=key-1$`, signed)
}

// at runs f at the time at which a link with a TTL of one second expires at unix.
func at(t *testing.T, unix int64, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Unix(unix-1, 0)))
		f(t)
	})
}

func TestNginx(t *testing.T) {
	// This is the example of the module's documentation, with the address of the client written out.
	at(t, 2147483647, func(t *testing.T) {
		n := must(cdn.Nginx(cdn.NginxConfig{Expression: "${secure_link_expires}${uri}127.0.0.1 secret", TTL: time.Second}))
		require.Equal(t, "/s/link?md5=_e4Nc3iduzkWRm01TBBNYw&expires=2147483647", string(must(n.Sign(t.Context(), []byte("/s/link")))))
	})
	n := must(cdn.Nginx(cdn.NginxConfig{Expression: "$secure_link_expires$uri secret", TTL: time.Hour, Hash: "h", Expires: "e"}))
	for u, decoded := range map[string]string{"/a%20b/1.ts?x=1,2#f": "/a b/1.ts", "https://h/ü.ts": "/ü.ts", "https://h/100%25.ts": "/100%.ts"} {
		link := string(must(n.Sign(t.Context(), []byte(u))))
		q := must(url.Parse(link)).Query()
		require.NoError(t, expired(q.Get("e")))
		sum := md5.Sum([]byte(q.Get("e") + decoded + " secret"))
		require.Equal(t, base64.RawURLEncoding.EncodeToString(sum[:]), q.Get("h"), link)
	}
	for _, u := range []string{"", "a.ts", "/a/../b", "/a%2fb", "/a//b"} {
		_, err := n.Sign(t.Context(), []byte(u))
		require.ErrorIs(t, err, cdn.ErrURL, u)
	}
	_, err := cdn.Nginx(cdn.NginxConfig{Expression: "$remote_addr secret", TTL: -1})
	require.Len(t, strings.Split(err.Error(), "\n"), 4)
	require.NotContains(t, err.Error(), "secret")
}

func TestS3(t *testing.T) {
	keys := cdn.S3Config{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", Region: "us-east-1"}
	// This is the example of Amazon's documentation of query string authentication.
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)))
		s := must(cdn.S3(keys))
		const want = "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256" +
			"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400" +
			"&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
		object := []byte("https://examplebucket.s3.amazonaws.com/test.txt")
		require.Equal(t, want, string(must(s.Sign(t.Context(), object))))
		time.Sleep(time.Hour)
		require.Equal(t, want, string(must(s.Sign(t.Context(), object))), "on a grid")
		_, signature, _ := strings.Cut(want, "&X-Amz-Signature=")
		spelled := string(must(s.Sign(t.Context(), []byte("https://EXAMPLEBUCKET.s3.amazonaws.com:443/test.txt"))))
		require.True(t, strings.HasSuffix(spelled, signature), "as clients write the Host field")
		short := string(must(s.Sign(sign.NewContext(t.Context(), sign.Grant{Expires: time.Now().Add(time.Minute)}), object)))
		require.Contains(t, short, "X-Amz-Expires=3660&", "from the date, which is an hour ago")

		keys.SessionToken = "a/b+c="
		temporary := must(cdn.S3(keys))
		link := string(must(temporary.Sign(t.Context(), []byte("https://h:9000/a%20b/%C3%BC.ts?part=1&a-b=2&a=x%20y#f"))))
		require.Contains(t, link, "&X-Amz-Security-Token=a%2Fb%2Bc%3D&")
		require.NoError(t, s3Server(link, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))
		require.Error(t, s3Server(strings.Replace(link, "part=1", "part=2", 1), "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))
	})
	for _, u := range []string{"/a.ts", "x", "https://h/../a"} {
		_, err := must(cdn.S3(keys)).Sign(t.Context(), []byte(u))
		require.ErrorIs(t, err, cdn.ErrURL, u)
	}
	_, err := cdn.S3(cdn.S3Config{TTL: 8 * 24 * time.Hour})
	require.Len(t, strings.Split(err.Error(), "\n"), 2)
}

// s3Server checks a presigned URL as the store does, from the request alone.
func s3Server(link, secret string) error {
	u := must(url.Parse(link))
	q := url.Values{}
	for p := range strings.SplitSeq(u.RawQuery, "&") {
		if name, value, _ := strings.Cut(p, "="); p != "" {
			q.Add(must(url.QueryUnescape(name)), must(url.QueryUnescape(value)))
		}
	}
	signature := q.Get("X-Amz-Signature")
	q.Del("X-Amz-Signature")
	credential := strings.SplitN(q.Get("X-Amz-Credential"), "/", 2)
	path := ""
	for i := range len(u.Path) {
		if c := u.Path[i]; c == '/' || strings.IndexByte("-._~", c) >= 0 || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' {
			path += string(rune(c))
		} else {
			path += fmt.Sprintf("%%%02X", c)
		}
	}
	sorted := strings.Split(strings.ReplaceAll(q.Encode(), "+", "%20"), "&")
	slices.SortStableFunc(sorted, func(a, b string) int {
		return strings.Compare(strings.SplitN(a, "=", 2)[0], strings.SplitN(b, "=", 2)[0])
	})
	canonical := "GET\n" + path + "\n" + strings.Join(sorted, "&") + "\nhost:" + u.Host + "\n\nhost\nUNSIGNED-PAYLOAD"
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	key := []byte("AWS4" + secret)
	for part := range strings.SplitSeq(credential[1], "/") {
		key = mac(key, part)
	}
	sum := sha256.Sum256([]byte(canonical))
	text := "AWS4-HMAC-SHA256\n" + q.Get("X-Amz-Date") + "\n" + credential[1] + "\n" + hex.EncodeToString(sum[:])
	if hex.EncodeToString(mac(key, text)) != signature {
		return errors.New("SignatureDoesNotMatch")
	}
	return nil
}
