package sign_test

import (
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

func cookies(c *sign.Config) { c.Cookies = http.SameSiteLaxMode }

func with(path string, pairs ...string) *http.Request {
	r := request(path)
	for _, p := range pairs {
		r.Header.Add("Cookie", p)
	}
	return r
}

func TestCookieOpensItsDirectory(t *testing.T) {
	s := signer(t, cookies)
	c := must(s.Cookie(must(s.Grant(nil)), "https://media.example/live/a%20b/master.m3u8"))
	require.True(t, c.Secure && c.HttpOnly)
	require.Equal(t, http.SameSiteLaxMode, c.SameSite)
	require.Equal(t, "/live/a%20b/", c.Path)
	require.NoError(t, c.Valid())
	pair := c.Name + "=" + c.Value

	w, inner := serve(s, with("/live/a%20b/v1/index.m3u8?x=1,2&_HLS_msn=1", "one=1; "+pair+";two=\"2\"", "three"))
	require.Equal(t, 200, w.Code)
	require.Equal(t, "/live/a%20b/v1/index.m3u8?x=1,2&_HLS_msn=1", inner.RequestURI)
	require.Equal(t, []string{"one=1; two=\"2\"; three"}, inner.Header["Cookie"])
	require.Equal(t, "Cookie", w.Header().Get("Vary"))
	for _, free := range []string{"/live/a%20b/v1/1.ts", "/live/a%20b/k.key?x", "/live/a%20b/"} {
		require.Equal(t, free, child(t, s, inner.Context(), free), "the cookie goes along")
	}
	for _, beyond := range []string{"/live/b/1.ts", "https://other.example/live/a%20b/1.ts", "/live/a%20b/%2e%2e/x.ts"} {
		link := child(t, s, inner.Context(), beyond)
		require.Contains(t, link, "hpt=")
		require.NotContains(t, link, c.Value)
		_, err := s.Verify(request(link))
		require.NoError(t, err)
	}
	_, inner = serve(s, with("/live/a%20b/1.ts", pair))
	require.NotContains(t, inner.Header, "Cookie")
}

func TestCookiesThatOpenNothing(t *testing.T) {
	s := signer(t, cookies)
	g := must(s.Grant(nil))
	old := g
	old.Expires = time.Now().Add(-time.Hour)
	pair := func(g sign.Grant, u string) string { return "hpt=" + must(s.Cookie(g, u)).Value }
	_, exact, _ := parse(must(s.URL("/live/a/1.ts")))
	for name, c := range map[string]struct {
		request *http.Request
		err     error
	}{
		"none":                {with("/live/a/1.ts", "other=1"), sign.ErrNoToken},
		"of elsewhere":        {with("/live/a/1.ts", pair(g, "/live/b/")), sign.ErrBadToken},
		"garbage":             {with("/live/a/1.ts", "hpt=x"), sign.ErrBadToken},
		"expired":             {with("/live/a/1.ts", pair(old, "/live/a/"), "hpt=x"), sign.ErrExpired},
		"a link's":            {with("/live/a/1.ts", "hpt="+exact), sign.ErrBadToken},
		"beside a bad link":   {with("/live/a/1.ts?hpt=x", pair(g, "/live/a/")), sign.ErrBadToken},
		"behind many":         {with("/live/a/1.ts", strings.Repeat("hpt=x; ", 8)+pair(g, "/live/a/")), sign.ErrBadToken},
		"dot segments":        {with("/live/a/%2e%2e/b/1.ts", pair(g, "/live/a/")), sign.ErrBadToken},
		"for writing":         {post(with("/live/a/1.ts", pair(g, "/live/a/"))), sign.ErrMethod},
		"beside others":       {with("/live/a/1.ts", "hpt=x; "+pair(old, "/live/a/")+"; "+pair(g, "/live/")), nil},
		"beside a good token": {with("/live/a/1.ts?hpt="+exact, "hpt=x"), nil},
	} {
		_, err := s.Verify(c.request)
		require.ErrorIs(t, err, c.err, name)
	}
	off := signer(t, nil)
	_, err := off.Verify(with("/live/a/1.ts", pair(g, "/live/a/")))
	require.ErrorIs(t, err, sign.ErrNoToken)
	_, err = off.Cookie(g, "/live/a/")
	require.Error(t, err)
	for _, u := range []string{"x", "/a/../b/", "/a//b/", strings.Repeat("/d", 300) + "/"} {
		_, err = s.Cookie(g, u)
		require.ErrorIs(t, err, sign.ErrURL, u)
	}
	_, err = s.Cookie(sign.Grant{}, "/a/")
	require.Error(t, err)
}

func post(r *http.Request) *http.Request {
	r.Method = "POST"
	return r
}

func TestCookieSessionIsRenewedWhileWatching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := signer(t, func(c *sign.Config) {
			cookies(c)
			c.TTL, c.Renew, c.Cookies, c.Partitioned = 4*time.Minute, time.Hour, http.SameSiteNoneMode, true
		})
		renewed := 0
		jar := must(cookiejar.New(nil))
		site := must(url.Parse("https://media.example/live/a/index.m3u8"))
		jar.SetCookies(site, []*http.Cookie{must(s.Cookie(must(s.Grant(nil)), "/live/a/"))})
		get := func(path string) (int, context.Context) {
			r := request(path)
			for _, c := range jar.Cookies(site) {
				r.AddCookie(c)
			}
			w := httptest.NewRecorder()
			var ctx context.Context
			s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() })).ServeHTTP(w, r)
			for _, c := range w.Result().Cookies() {
				renewed++
				require.True(t, c.Partitioned, "it would be another jar")
			}
			jar.SetCookies(site, w.Result().Cookies())
			return w.Code, ctx
		}
		begin := time.Now()
		for time.Since(begin) < 58*time.Minute {
			code, ctx := get("/live/a/index.m3u8")
			require.Equal(t, 200, code, time.Since(begin))
			require.Equal(t, "/live/a/1.ts", child(t, s, ctx, "/live/a/1.ts"))
			time.Sleep(10 * time.Second)
			code, _ = get("/live/a/1.ts")
			require.Equal(t, 200, code)
		}
		require.NotZero(t, renewed)
		require.True(t, must(s.Cookie(must(s.Grant(nil)), "/live/a/")).Partitioned)
		time.Sleep(4 * time.Minute)
		code, _ := get("/live/a/index.m3u8")
		require.Contains(t, []int{401, 403}, code, "the hard end holds")
	})
}
