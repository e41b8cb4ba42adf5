package sign_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/maker"
	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

func hinted(t testing.TB, s *sign.Sealer, upstream string, h http.Header) string {
	t.Helper()
	return string(must(s.AppendPublicWith(nil, []byte(upstream), h)))
}

func TestWhatAListAsksForIsSealed(t *testing.T) {
	for _, scope := range []sign.Scope{sign.Exact, sign.Directory} {
		s := sealer(t, scope)
		h := http.Header{"Referer": {"https://site.example/"}, "User-Agent": {"VLC"}, "X-Any": {"1"}, "Authorization": {"Bearer s3cret"}, "Cookie": {"a=1"}}
		public := hinted(t, s, "https://tv.example/a/index.m3u8", h)
		require.Equal(t, public, hinted(t, s, "https://tv.example/a/index.m3u8", h), "the same each time")
		require.NotEqual(t, public, hinted(t, s, "https://tv.example/a/index.m3u8", http.Header{"Referer": {"https://site.example/"}}))
		require.NotContains(t, public, "site")
		require.Equal(t, "https://tv.example/a/index.m3u8", must(open(s, public)))
		v := visitOf(t, s, public)
		require.Equal(t, h, v.sent("https://tv.example/a/index.m3u8"))
		other := http.Header{"Referer": {"https://site.example/"}, "User-Agent": {"VLC"}, "X-Any": {"1"}}
		require.Equal(t, other, v.sent("https://cdn.example/1.ts"), "credentials are for the entry's own host")
		require.Equal(t, other, v.sent("http://tv.example/1.ts"), "and never leave https")
		require.Equal(t, h, visitOf(t, s, v.sign(s, "https://tv.example/b.ts")).sent("https://tv.example/b.ts"), "what is below it has them too")
		require.Equal(t, other, visitOf(t, s, v.sign(s, "https://cdn.example/b.ts")).sent("https://cdn.example/b.ts"))
		at := must(url.Parse("https://cdn.example/1.ts"))
		require.Equal(t, []string{"Referer", "User-Agent", "X-Any"}, maker.FromContext(v.ctx).Credentials(at), "an answer to them is not for others")
	}
}

func TestWhatAListMayNotAskFor(t *testing.T) {
	s := sealer(t, sign.Exact)
	h := http.Header{}
	for _, name := range []string{
		"Host", "Connection", "Transfer-Encoding", "Te", "Upgrade", "Proxy-Authorization", "Content-Length", "Content-Type", "Range", "If-None-Match", "Forwarded",
		"X-Forwarded-Host", "X-Forwarded-For", "X-Real-Ip", "X-Http-Method-Override", "X-Method-Override", "Metadata-Flavor", "X-Aws-Ec2-Metadata-Token", "Set-Cookie", "", "A b", "a\r\nB",
		"x-forwarded-proto", "True-Client-IP", "cf-connecting-ip", "X-Client-Ip", "X-Original-URL", "X-Rewrite-Url", "X-Remote-User", "Remote-User",
		"X-Goog-Authenticated-User-Email", "X-Host", "X_Forwarded_For", "x_real_ip", "X.Forwarded.Host", "X-Forwarded", "Z-Forwarded-For", "X-HTTP-Host-Override",
		"X-Original-Host", "Metadata_Flavor", "Content_Length", "Transfer_Encoding", "Remote_Addr", "Set_Cookie", "CF-Connecting-IPv6", "Cmcd_Session", "X-Envoy-Original-Path",
		"X-Azure-ClientIP", "X-Azure-SocketIP", "X-RealIP", "X-Envoy-External-Address", "CDN-Loop", "Proxy", "X-Proxy-User",
	} {
		h[name] = []string{"1"}
	}
	h["X-A"], h["X-B"], h["X-C"] = []string{"a\r\nB: c"}, []string{"\x00"}, nil
	plain := string(must(s.AppendPublic(nil, []byte("https://h/a.m3u8"))))
	require.Equal(t, plain, hinted(t, s, "https://h/a.m3u8", h))

	noHost := hinted(t, s, "http:// 0", http.Header{"Authorization": {"0"}, "Cookie": {"0"}, "Referer": {"0"}})
	for _, u := range []string{"https://h/", "http://0/", "/a", "//:"} {
		require.Equal(t, http.Header{"User-Agent": {"player"}, "Referer": {"0"}}, visitOf(t, s, noHost).sent(u), "credentials need a host that they are for")
	}

	many := http.Header{"Z": {strings.Repeat("z", 3000)}}
	for _, c := range "abcdefghijklmnopqrstuvwxy" {
		many["X-"+strings.ToUpper(string(c))] = []string{"1"}
	}
	sent := visitOf(t, s, hinted(t, s, "https://h/a.m3u8", many)).sent("https://h/a.m3u8")
	require.Len(t, sent, 17, "and the viewer's User-Agent")
	require.Less(t, len(hinted(t, s, "https://h/a.m3u8", many)), 4000)

	_, err := s.AppendPublicWith(nil, []byte("rtmp://h/a"), http.Header{"Referer": {"x"}})
	require.ErrorIs(t, err, sign.ErrURL)
}

// A list cannot change the fields that the maker of the link has sealed, and cannot say where credentials may go.
func TestTheMakerGoesBeforeTheList(t *testing.T) {
	s := sealer(t, sign.Exact)
	entry := must(s.URL("https://list.example/all.m3u", sign.Upstream{
		Header: http.Header{"User-Agent": {"maker"}, "Authorization": {"Bearer mine"}}, Hosts: []string{"tv.example"},
	}))
	v := visitOf(t, s, entry)
	h := http.Header{"User-Agent": {"list"}, "Referer": {"list"}, "Authorization": {"list"}, "Cookie": {"list"}}
	sealed := func(upstream string) visit {
		return visitOf(t, s, string(must(s.Sign(v.ctx, []byte(hinted(t, s, upstream, h))))))
	}
	require.Equal(t, http.Header{"User-Agent": {"maker"}, "Referer": {"list"}, "Authorization": {"Bearer mine"}, "Cookie": {"list"}}, sealed("https://tv.example/1").sent("https://tv.example/1"))
	require.Equal(t, http.Header{"User-Agent": {"maker"}, "Referer": {"list"}, "Authorization": {"list"}, "Cookie": {"list"}}, sealed("https://x.example/1").sent("https://x.example/1"))
	require.Equal(t, http.Header{"User-Agent": {"maker"}, "Referer": {"list"}}, sealed("https://x.example/1").sent("https://y.example/1"))
	require.Equal(t, http.Header{"User-Agent": {"maker"}}, visitOf(t, s, v.sign(s, "https://x.example/2")).sent("https://x.example/2"), "the next entry has none of them")
}

func FuzzSealedHints(f *testing.F) {
	f.Add("https://h/a.m3u8", "Referer", "https://s/")
	f.Add("https://u:p@h/a", "Authorization", "x")
	f.Add("https://h/a?b", "x-a", "\r\n")
	f.Add("http:// 0", "AuthoriZAtion", "0")
	s := sealer(f, sign.Directory)
	f.Fuzz(func(t *testing.T, u, name, value string) {
		public, err := s.AppendPublicWith(nil, []byte(u), http.Header{name: {value}})
		plain, plainErr := s.AppendPublic(nil, []byte(u))
		require.Equal(t, plainErr, err)
		if err != nil {
			return
		}
		require.Equal(t, must(open(s, string(plain))), must(open(s, string(public))))
		for name, values := range visitOf(t, s, string(public)).sent("https://elsewhere.example/") {
			require.NotContains(t, []string{"Authorization", "Cookie"}, name)
			require.False(t, strings.ContainsAny(name+strings.Join(values, ""), "\r\n\x00"))
		}
	})
}
