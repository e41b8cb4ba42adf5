package sign_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/maker"
	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

// visit is a request for a sealed URL: it has the context below Handler, and tells what is sent to a URL.
type visit struct {
	ctx context.Context
	t   testing.TB
}

func visitOf(t testing.TB, s *sign.Sealer, public string) visit {
	t.Helper()
	r := request(public)
	for _, name := range []string{"Referer", "Authorization", "Cookie", "Origin"} {
		r.Header.Set(name, "the viewer's")
	}
	r.Header.Set("User-Agent", "player")
	before := r.Header.Clone()
	v := visit{t: t}
	s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, in *http.Request) {
		v.ctx = in.Context()
		require.Equal(t, http.Header{"User-Agent": {"player"}}, in.Header, "nothing sealed stands where a log looks, and the viewer's own stays out")
	})).ServeHTTP(httptest.NewRecorder(), r)
	require.Equal(t, before, r.Header)
	return v
}

// sent is the header of a request to u.
func (v visit) sent(u string) http.Header {
	h := http.Header{"User-Agent": {"player"}}
	if m := maker.FromContext(v.ctx); m != nil {
		m.Apply(h, must(url.Parse(u)))
	}
	return h
}

func (v visit) sign(s *sign.Sealer, upstream string) string {
	v.t.Helper()
	link := string(must(s.Sign(v.ctx, must(s.AppendPublic(nil, []byte(upstream))))))
	require.Equal(v.t, link, string(must(s.Sign(v.ctx, []byte(link)))), "signed twice")
	require.Equal(v.t, "https://media.example"+link, string(must(s.Sign(v.ctx, append([]byte("https://media.example"), link...)))))
	return link
}

func TestWhatTheMakerSaysReachesEveryChild(t *testing.T) {
	for _, scope := range []sign.Scope{sign.Exact, sign.Directory} {
		s := sealer(t, scope)
		up := sign.Upstream{
			Header: http.Header{
				"Referer": {"https://site.example/"}, "user-agent": {"set-top"}, "X-Any": {"1", "2"}, "Authorization": {"Bearer s3cret"}, "Cookie": {"a=1"}, "X-Token": {"t0ken"},
			},
			Credentials: []string{"x-token"},
			Hosts:       []string{"cdn.example", "*.edge.example:8443"},
		}
		entry := must(s.URL("https://h/a/master.m3u8", up))
		require.Equal(t, entry, must(s.URL("https://h/a/master.m3u8", up)), "the same each time")
		for _, secret := range []string{"s3cret", "t0ken", "site"} {
			require.NotContains(t, entry, secret)
		}
		require.Equal(t, "https://h/a/master.m3u8", must(open(s, entry)))
		everywhere := http.Header{"Referer": {"https://site.example/"}, "User-Agent": {"set-top"}, "X-Any": {"1", "2"}}
		all := everywhere.Clone()
		all["Authorization"], all["Cookie"], all["X-Token"] = []string{"Bearer s3cret"}, []string{"a=1"}, []string{"t0ken"}

		v := visitOf(t, s, entry)
		for range 3 { // a child, a grandchild, and its child
			for host, want := range map[string]http.Header{
				"https://h": all, "https://H:443": all, "https://cdn.example": all, "https://cdn.example:9000": all, "https://x.edge.example:8443": all,
				"https://other": everywhere, "http://h": everywhere, "https://h:444": everywhere, "http://cdn.example": everywhere, "https://edge.example:8443": everywhere,
				"https://x.edge.example": everywhere, "https://xcdn.example": everywhere, "https://h.evil": everywhere, "https://cdn.example.evil": everywhere,
			} {
				require.Equal(t, want, v.sent(host+"/1.ts"), host)
				names := maker.FromContext(v.ctx).Credentials(must(url.Parse(host + "/1.ts")))
				if want.Get("Cookie") != "" {
					require.Equal(t, []string{"Authorization", "Cookie", "X-Token"}, names)
				} else {
					require.Empty(t, names)
				}
				link := v.sign(s, host+"/a/1.ts?x=1#f")
				require.Equal(t, host+"/a/1.ts?x=1#f", must(open(s, link)))
				require.Equal(t, want, visitOf(t, s, link).sent(host+"/a/1.ts"), "children carry them on")
			}
			v = visitOf(t, s, v.sign(s, "https://other/b/v.m3u8"))
		}
	}
}

func TestLinksWithoutMakersFieldsStayAsTheyAre(t *testing.T) {
	s := sealer(t, sign.Exact)
	plain := string(must(s.AppendPublic(nil, []byte("https://h/a/1.ts"))))
	require.Equal(t, plain, must(s.URL("https://h/a/1.ts", sign.Upstream{})))
	for _, u := range []string{plain, "/elsewhere"} {
		v := visitOf(t, s, u)
		require.Equal(t, http.Header{"User-Agent": {"player"}}, v.sent("https://h/a/1.ts"))
		require.Equal(t, plain, string(must(s.Sign(v.ctx, []byte(plain)))))
	}
	v := visitOf(t, s, must(s.URL("https://h/a.m3u8", sign.Upstream{Header: http.Header{"Referer": {"r"}}})))
	for _, u := range []string{"x", "/elsewhere/1.ts", "/s/abc/1.ts"} {
		_, err := s.Sign(v.ctx, []byte(u))
		require.Error(t, err)
	}
	other := sealer(t, sign.Exact, keyB)
	link := string(must(other.AppendPublic(nil, []byte("https://h/a.ts"))))
	require.Equal(t, link, string(must(other.Sign(v.ctx, []byte(link)))), "another sealer's visit is not its own")
}

func TestWhatCannotBeSealedIntoALink(t *testing.T) {
	s := sealer(t, sign.Exact)
	_, err := s.URL("https://h/a.ts", sign.Upstream{
		Header: http.Header{"Host": {"x"}, "Range": {"x"}, "a b": {"x"}, "": {"x"}, "Transfer-Encoding": {"x"}, "Referer": {"a\r\nX: y"}, "X-B": {"\x00"}},
		Hosts:  []string{"https://h", "a/b", "*", "u@h", ""},
	})
	require.Len(t, strings.Split(err.Error(), "\n"), 12)
	for _, u := range []string{"a.ts", "/a.ts", "//h/a.ts", "skd://x"} {
		_, err = s.URL(u, sign.Upstream{})
		require.ErrorIs(t, err, sign.ErrURL, u)
	}
	_, err = s.URL("https://u:p@h/a.ts", sign.Upstream{Header: http.Header{"Authorization": {"x"}}})
	require.Error(t, err)
}

func TestUserInformationBecomesAuthorization(t *testing.T) {
	s := sealer(t, sign.Directory)
	entry := must(s.URL("https://us%65r:p%40ss@h/a/v.m3u8", sign.Upstream{}))
	require.Equal(t, "https://h/a/v.m3u8", must(open(s, entry)))
	v := visitOf(t, s, entry)
	require.Equal(t, "Basic dXNlcjpwQHNz", v.sent("https://h/1.ts").Get("Authorization"))
	require.Empty(t, v.sent("https://other/1.ts").Get("Authorization"))

	named := v.sign(s, "https://x:y@other/1.ts") // a playlist may name such URLs
	require.Equal(t, "https://other/1.ts", must(open(s, named)))
	require.Equal(t, "Basic eDp5", visitOf(t, s, named).sent("https://other/1.ts").Get("Authorization"))
	require.Equal(t, "Basic dXNlcjpwQHNz", visitOf(t, s, named).sent("https://h/1.ts").Get("Authorization"))
	for _, u := range []string{"https://@h/1.ts", "https://:@h/1.ts", "https://h/@/1.ts"} {
		public := string(must(s.AppendPublic(nil, []byte(u))))
		require.Empty(t, visitOf(t, s, public).sent("https://h/1.ts").Get("Authorization"), u)
	}
	for range 20 { // the parameters of several playlists do not pile up
		v = visitOf(t, s, v.sign(s, "https://x:"+strings.Repeat("y", 20)+"@other/1.m3u8"))
	}
	require.Less(t, len(v.sign(s, "https://other/2.ts")), 400)
}

func TestChildrenInheritParameters(t *testing.T) {
	s := sealer(t, sign.Exact)
	v := visitOf(t, s, must(s.URL("https://h/m.m3u8?token=a%2Fb&x=1&user=me", sign.Upstream{Inherit: []string{"token", "user", "none"}})))
	for range 2 {
		for child, want := range map[string]string{
			"https://h/v.m3u8":             "https://h/v.m3u8?token=a%2Fb&user=me",
			"https://h/v.m3u8?q=1#f":       "https://h/v.m3u8?q=1&token=a%2Fb&user=me#f",
			"https://h/v.m3u8?token=own":   "https://h/v.m3u8?token=own&user=me",
			"https://h/v.m3u8?t%6fken=own": "https://h/v.m3u8?t%6fken=own&user=me",
			"https://H:443/k.key":          "https://H:443/k.key?token=a%2Fb&user=me",
			"https://other/1.ts":           "https://other/1.ts",
			"http://h/1.ts":                "http://h/1.ts",
		} {
			require.Equal(t, want, must(open(s, v.sign(s, child))), child)
		}
		v = visitOf(t, s, v.sign(s, "https://h/v.m3u8"))
	}
}

func TestCookiesOfThePlaylistReachItsChildren(t *testing.T) {
	s := sealer(t, sign.Exact)
	received := func(v visit, u string, lines ...string) {
		maker.FromContext(v.ctx).Received(must(url.Parse(u)), http.Header{"Set-Cookie": lines})
	}
	up := sign.Upstream{Cookies: true, Header: http.Header{"Cookie": {"lang=en; sid=0"}}}
	v := visitOf(t, s, must(s.URL("https://a.h.example/live/m.m3u8", up)))
	require.Equal(t, "lang=en; sid=0", v.sent("https://a.h.example/x").Get("Cookie"))
	received(v, "https://a.h.example/live/m.m3u8", "sid=1; Path=/; Secure; HttpOnly", "dir=d", "wide=w; Domain=.h.example; Path=/", "bad=x; Domain=evil.example", "tld=x; Domain=example")
	received(v, "https://edge.h.example/m.m3u8", "edge=e; Path=/")
	for range 3 {
		for u, want := range map[string]string{
			"https://a.h.example/live/1.ts":     "dir=d; sid=1; wide=w; lang=en",
			"https://a.h.example/other/1.ts":    "sid=1; wide=w; lang=en",
			"https://a.h.example/liver/1.ts":    "sid=1; wide=w; lang=en",
			"http://a.h.example/live/1.ts":      "dir=d; wide=w",
			"https://edge.h.example/1.ts":       "wide=w; edge=e",
			"https://evil.example/1.ts":         "",
			"https://xh.example/1.ts":           "",
			"https://sub.a.h.example/live/1.ts": "wide=w",
		} {
			require.Equal(t, want, v.sent(u).Get("Cookie"), u)
		}
		v = visitOf(t, s, v.sign(s, "https://a.h.example/live/v.m3u8"))
	}
	received(v, "https://a.h.example/live/v.m3u8", "sid=2; Path=/", "dir=; Max-Age=0", "wide=; Domain=h.example; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
	v = visitOf(t, s, v.sign(s, "https://a.h.example/live/v.m3u8"))
	require.Equal(t, "sid=2; lang=en", v.sent("https://a.h.example/live/1.ts").Get("Cookie"), "a later value replaces an earlier one")
	received(v, "https://a.h.example/live/v.m3u8", "big="+strings.Repeat("x", 3<<10), "sid=3; Path=/")
	require.Equal(t, "sid=2; lang=en", v.sent("https://a.h.example/live/1.ts").Get("Cookie"), "links stay short")

	received(v, "https://tv.a.co.uk/v.m3u8", "suffix=x; Domain=co.uk; Path=/", "own=y; Domain=a.co.uk; Path=/")
	require.Equal(t, "", v.sent("https://bank.co.uk/1.ts").Get("Cookie"))
	require.Equal(t, "own=y", v.sent("https://edge.a.co.uk/1.ts").Get("Cookie"))

	received(v, "https://tv.evil.com./v.m3u8", "suffix=x; Domain=com.; Path=/")
	received(v, "https://tv.evil.co.uk./v.m3u8", "suffix=x; Domain=co.uk.; Path=/")
	require.Equal(t, "", v.sent("https://bank.com./1.ts").Get("Cookie"))
	require.Equal(t, "", v.sent("https://bank.co.uk./1.ts").Get("Cookie"))

	received(v, "https://q.example/v.m3u8", `quoted="a b,c"; Path=/`)
	require.Equal(t, `quoted="a b,c"`, v.sent("https://q.example/1.ts").Get("Cookie"), "the quotes belong to the value")
	require.Equal(t, `quoted="a b,c"`, visitOf(t, s, v.sign(s, "https://q.example/v.m3u8")).sent("https://q.example/1.ts").Get("Cookie"))

	off := visitOf(t, s, must(s.URL("https://h/m.m3u8", sign.Upstream{Header: http.Header{"Referer": {"r"}}})))
	received(off, "https://h/m.m3u8", "sid=1")
	require.Empty(t, off.sent("https://h/1.ts").Get("Cookie"))
}

// A link shows no byte of the sealed text, and opens to exactly that text.
func FuzzUpstream(f *testing.F) {
	f.Add("X-Token", "value with secret", "https://u:p@h.example/a/v.m3u8?token=1", "cdn.example", "token")
	f.Add("Cookie", "a=1; b=2", "http://h/", "*.h:80", "")
	f.Fuzz(func(t *testing.T, name, value, upstream, host, inherit string) {
		s := sealer(t, sign.Exact)
		public, err := s.URL(upstream, sign.Upstream{Header: http.Header{name: {value}}, Credentials: []string{name}, Hosts: []string{host}, Inherit: []string{inherit}, Cookies: true})
		if err != nil {
			return
		}
		if len(value) > 8 && !strings.Contains(upstream, value) {
			require.NotContains(t, public, value)
		}
		clean := must(open(s, public))
		u, err := url.Parse(clean)
		if err != nil || u.Host == "" {
			return
		}
		v := visitOf(t, s, public)
		require.Equal(t, []string{value}, v.sent(clean)[http.CanonicalHeaderKey(name)], "%q", clean)
		v.sign(s, "https://elsewhere.example/1.ts")
	})
}

// What stands behind the host does not hide it. Two URLs without an origin are not of one origin for that.
func TestInheritedParametersStayWithTheirOrigin(t *testing.T) {
	s := sealer(t, sign.Exact)
	for _, row := range []struct {
		link, child string
		inherits    bool
	}{
		{"https://o.example/a.m3u8?t=secret&x=\x01", "https://o.example/a.ts?\x01", true},
		{"https://o.example/a.m3u8?t=secret&x=\x01", "https://evil.example/a.ts?\x01", false},
		{"https://o.example/%zz.m3u8?t=secret", "https://o.example:443/%zz.ts", true},
		{"https://o.example/%zz.m3u8?t=secret", "https://evil.example/%zz.ts", false},
		{"https://O.example:/a.m3u8?t=secret", "https://o.example/a.ts", true},
		{"https://o o/a.m3u8?t=secret", "https://e e/a.ts", false},
		{"https://o o/a.m3u8?t=secret", "https://o o/a.ts", false},
	} {
		up := sign.Upstream{Inherit: []string{"t"}, Header: http.Header{"Authorization": {"Bearer x"}}}
		child := must(open(s, visitOf(t, s, must(s.URL(row.link, up))).sign(s, row.child)))
		require.Equal(t, row.inherits, strings.Contains(child, "secret"), "%q %q", row.link, child)
	}
}

// Ports and hosts in any spelling are compared as what they mean.
func TestCredentialsGoToTheirOriginInAnySpelling(t *testing.T) {
	s := sealer(t, sign.Exact)
	auth := http.Header{"Authorization": {"Bearer x"}, "User-Agent": {"player"}}
	for link, row := range map[string]struct{ yes, no []string }{
		"https://o.example/a":       {[]string{"https://o.example:443/b", "https://O.EXAMPLE:/b", "HTTPS://o.example/b"}, []string{"https://o.example:80/b", "http://o.example/b", "https://o.example:8443/b", "https://o.example./b", "https://x.o.example/b"}},
		"https://o.example:443/%zz": {[]string{"https://o.example/b"}, []string{"http://o.example:443/b"}},
		"http://o.example:80/a":     {[]string{"http://o.example/b", "https://o.example/b", "https://o.example:443/b"}, []string{"http://o.example:443/b", "https://o.example:80/b"}},
		"http://o.example:8080/a":   {[]string{"http://o.example:8080/b"}, []string{"https://o.example:8080/b", "http://o.example/b"}},
		"https://[2001:DB8::1]/a":   {[]string{"https://[2001:db8::1]:443/b"}, []string{"https://[2001:db8::1:443]/b", "https://[2001:db8::2]/b"}},
	} {
		for _, v := range []visit{
			visitOf(t, s, must(s.URL(link, sign.Upstream{Header: http.Header{"Authorization": {"Bearer x"}}}))),
			visitOf(t, s, hinted(t, s, link, http.Header{"Authorization": {"Bearer x"}})),
		} {
			for _, u := range row.yes {
				require.Equal(t, auth, v.sent(u), "%s %s", link, u)
			}
			for _, u := range row.no {
				require.Equal(t, http.Header{"User-Agent": {"player"}}, v.sent(u), "%s %s", link, u)
			}
		}
	}
}
