package sign_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

func sealer(t testing.TB, scope sign.Scope, keys ...sign.Key) *sign.Sealer {
	t.Helper()
	if keys == nil {
		keys = []sign.Key{keyA}
	}
	s, err := sign.NewSealer(sign.Config{Keys: keys, Scope: scope}, "/s/")
	require.NoError(t, err)
	return s
}

// open requests a public URL as a client does.
func open(s *sign.Sealer, public string) (string, error) { return s.Upstream(request(public).URL) }

var upstreamURLs = []string{
	"https://cdn.example/live/a/seg1.ts",
	"http://cdn.example:8080/live/a/master.m3u8?token=a%2Fb~,&x=%zz",
	"https://cdn.example/a/b.m3u8#v=1;x=a%20b",
	"https://cdn.example/a/?x",
	"https://cdn.example/",
	"https://cdn.example",
	"https://cdn.example?x=/a.ts",
	"HTTPS://[::1]:1/a%2fb/../c;d/e f.ts",
	"https://cdn.example/a/ü\x00\"<>.m4s",
	"https://cdn.example/a/.m3u8",
	"https://cdn.example/a/..",
	"https://cdn.example/a/...%2e.ts",
	"https://cdn.example/a//b.ts",
	"https://cdn.example/" + strings.Repeat("n", 300) + ".ts",
}

func TestSealedURLsOpenToWhatTheyWere(t *testing.T) {
	for _, scope := range []sign.Scope{sign.Exact, sign.Directory} {
		s := sealer(t, scope)
		for _, u := range upstreamURLs {
			public := string(must(s.AppendPublic([]byte("X"), []byte(u))))[1:]
			require.Equal(t, public, string(must(sealer(t, scope).AppendPublic(nil, []byte(u)))), "the same from another process")
			require.Equal(t, u, must(open(s, public)), public)
			require.True(t, strings.HasPrefix(public, "/s/"))
			require.NotContains(t, public, "cdn")
			require.NotContains(t, public, "?")
			if path := u[:strings.IndexAny(u+"?", "?#")]; strings.Count(path, "/") > 2 {
				require.Equal(t, extension(path), extension(public))
			}
		}
	}
}

func extension(path string) string {
	name := path[strings.LastIndexByte(path, '/')+1:]
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[i:]
	}
	return ""
}

func TestWhatCannotBeSealed(t *testing.T) {
	for _, u := range []string{"", "/a.ts", "//h/a.ts", "a.ts", "skd://x", "data:,x", "https://", "https:///x"} {
		out, err := sealer(t, sign.Directory).AppendPublic([]byte("X"), []byte(u))
		require.ErrorIs(t, err, sign.ErrURL, u)
		var known interface{ Unmapped() bool }
		require.ErrorAs(t, err, &known, u)
		require.True(t, known.Unmapped(), "it is to stay as it is")
		require.Equal(t, "X", string(out))
	}
}

func TestDirectoryFormHasOneTokenForAllBelow(t *testing.T) {
	s := sealer(t, sign.Directory)
	a, b := must(s.AppendPublic(nil, []byte("https://h/a/1.ts"))), must(s.AppendPublic(nil, []byte("https://h/a/2.ts")))
	base := string(a[:bytes.LastIndexByte(a, '/')+1])
	require.Equal(t, base+"2.ts", string(b))
	require.Equal(t, "https://h/a/v1/x%20y.ts", must(open(s, base+"v1/x%20y.ts")), "a relative reference needs no sealing")
	require.Equal(t, "https://h/a/", must(open(s, base)))
	require.Equal(t, "https://h/a/3.ts", must(open(s, base+"3.ts?secret=1")), "the client's query stays here")
	for _, rest := range []string{"../x.ts", "%2e%2e/x.ts", "a%2f..%2fb", "a//b", "%252e%252e/x", "..;/x", "x%00"} {
		r := request(base)
		r.URL.Path, r.URL.RawPath = must(url.PathUnescape(base+rest)), base+rest
		_, err := s.Upstream(r.URL)
		require.ErrorIs(t, err, sign.ErrBadToken, rest)
	}
	require.NotContains(t, string(must(s.AppendPublic(nil, []byte("https://h/a/1.ts?sig=x")))), base, "a query is hidden")
}

func TestDirectivesReachThePlaylist(t *testing.T) {
	s := sealer(t, sign.Exact)
	for _, c := range []struct{ upstream, query, want string }{
		{"https://h/v.m3u8", "_HLS_msn=3&_HLS_part=1", "https://h/v.m3u8?_HLS_msn=3&_HLS_part=1"},
		{"https://h/v.m3u8?a=1", "x=2&_HLS_msn=3&CMCD=x", "https://h/v.m3u8?a=1&_HLS_msn=3"},
		{"https://h/v?a=1#f", "_HLS_skip=YES", "https://h/v?a=1&_HLS_skip=YES#f"},
		{"https://h/v.m3u8", "x=_HLS_", "https://h/v.m3u8"},
		{"https://h/v.m3u8", "_HLS_msn=\"", "https://h/v.m3u8"},
		{"https://h/seg.TS", "_HLS_msn=3", "https://h/seg.TS"},
		{"https://h/k.key", "_HLS_msn=3", "https://h/k.key"},
	} {
		public := string(must(s.AppendPublic(nil, []byte(c.upstream))))
		r := request(public)
		r.URL.RawQuery = c.query
		require.Equal(t, c.want, must(s.Upstream(r.URL)))
	}
}

func TestSealedURLsCannotBeChanged(t *testing.T) {
	for _, scope := range []sign.Scope{sign.Exact, sign.Directory} {
		s := sealer(t, scope, keyA, keyB)
		public := string(must(s.AppendPublic(nil, []byte("https://h/a/1.ts"))))
		token, _, _ := strings.Cut(public[len("/s/"):], "/")
		raw := must(base64.RawURLEncoding.DecodeString(token))
		for i := range len(raw) * 8 {
			raw[i/8] ^= 1 << (i % 8)
			_, err := open(s, "/s/"+base64.RawURLEncoding.EncodeToString(raw)+"/1.ts")
			require.ErrorIs(t, err, sign.ErrBadToken, "bit %d", i)
			raw[i/8] ^= 1 << (i % 8)
		}
		for i := range raw {
			_, err := open(s, "/s/"+base64.RawURLEncoding.EncodeToString(raw[:i])+"/1.ts")
			require.Error(t, err)
		}
		for _, u := range []string{"/s/" + token + "=/1.ts", "/s/" + token + "%0A/1.ts", "/s/" + token[:len(token)-1] + "/1.ts"} {
			_, err := open(s, u)
			require.ErrorIs(t, err, sign.ErrBadToken, u)
		}
	}
	s := sealer(t, sign.Exact)
	public := string(must(s.AppendPublic(nil, []byte("https://h/a/1.ts"))))
	for _, u := range []string{strings.Replace(public, "1.ts", "2.ts", 1), public + "/x", strings.TrimSuffix(public, "1.ts"), strings.Replace(public, "1.ts", "%31.ts", 1)} {
		_, err := open(s, u)
		require.ErrorIs(t, err, sign.ErrBadToken, u)
	}
	for _, u := range []string{"/", "/x/a.ts", "/s", "/s/abc", "/S/abc/1.ts"} {
		_, err := open(s, u)
		var known interface{ HTTPStatus() int }
		require.ErrorAs(t, err, &known)
		require.Equal(t, http.StatusNotFound, known.HTTPStatus(), u)
	}
	_, err := open(sealer(t, sign.Exact, sign.Key{ID: "a", Secret: keyB.Secret}), public)
	require.ErrorIs(t, err, sign.ErrBadToken)
}

func TestSealersRotate(t *testing.T) {
	s := sealer(t, sign.Directory)
	old := string(must(s.AppendPublic(nil, []byte("https://h/a/1.ts"))))
	require.NoError(t, s.Rotate([]sign.Key{keyB, keyA}))
	require.Equal(t, "https://h/a/1.ts", must(open(s, old)))
	require.NotEqual(t, old, string(must(s.AppendPublic(nil, []byte("https://h/a/1.ts")))))
	require.Error(t, s.Rotate(nil))
	require.NoError(t, s.Rotate([]sign.Key{keyB}))
	_, err := open(s, old)
	require.ErrorIs(t, err, sign.ErrBadToken)
}

func TestSealedURLsAreShortEnough(t *testing.T) {
	for _, name := range []string{"seg.ts", strings.Repeat("n", 2400) + ".ts"} {
		u := "https://cdn.example/" + strings.Repeat("p", 2500-len("https://cdn.example//")-len(name)) + "/" + name
		require.Len(t, u, 2500)
		public := must(sealer(t, sign.Exact, sign.Key{ID: "2026-11", Secret: keyA.Secret}).AppendPublic(nil, []byte(u)))
		signed := must(signer(t, nil).Sign(t.Context(), public))
		require.Less(t, len(signed), 4000-len("https://media.example.com"))
	}
}

func TestNewSealerReportsAllFaults(t *testing.T) {
	_, err := sign.NewSealer(sign.Config{Scope: 9}, "s")
	require.Len(t, strings.Split(err.Error(), "\n"), 3)
	for _, prefix := range []string{"", "s/", "/s", "/a b/", "/s//", "//", "/../", "/s?/"} {
		_, err := sign.NewSealer(sign.Config{Keys: []sign.Key{keyA}}, prefix)
		require.Error(t, err, prefix)
	}
	_, err = sign.NewSealer(sign.Config{Keys: []sign.Key{keyA}}, "/")
	require.NoError(t, err)
}

func TestSealedAndSigned(t *testing.T) {
	s, seal := signer(t, directory), sealer(t, sign.Directory)
	ctx := admitted(t, s, must(s.URL(string(must(seal.AppendPublic(nil, []byte("https://h/a/master.m3u8")))))))
	for _, u := range upstreamURLs {
		link := child(t, s, ctx, string(must(seal.AppendPublic(nil, []byte(u)))))
		_, inner := serve(s, request(link))
		require.NotNil(t, inner)
		require.Equal(t, u, must(seal.Upstream(inner.URL)))
	}
}

// userInfo finds user information, which never stands in an opened URL: it becomes an Authorization.
var userInfo = regexp.MustCompile(`^([^/?#]*//)[^/?#]*@`)

func FuzzSealer(f *testing.F) {
	for _, u := range upstreamURLs {
		f.Add(u)
	}
	for _, u := range []string{"http://@0", "http://u:p@h/x", "http://a@b@h/x", "http://h/x@y"} {
		f.Add(u)
	}
	exact, dir := sealer(f, sign.Exact), sealer(f, sign.Directory)
	f.Fuzz(func(t *testing.T, u string) {
		for _, s := range []*sign.Sealer{exact, dir} {
			public, err := s.AppendPublic(nil, []byte(u))
			if err != nil {
				require.ErrorIs(t, err, sign.ErrURL)
				continue
			}
			require.Equal(t, userInfo.ReplaceAllString(u, "$1"), must(open(s, string(public))))
		}
		_, _ = exact.Upstream(&url.URL{Path: u})
		if up, err := exact.Upstream(&url.URL{Path: "/s/" + u}); err == nil {
			t.Fatalf("%q opened to %q", u, up)
		}
	})
}
