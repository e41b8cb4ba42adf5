package sign_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

func serve(s *sign.Signer, r *http.Request) (*httptest.ResponseRecorder, *http.Request) {
	var inner *http.Request
	w := httptest.NewRecorder()
	s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { inner = r })).ServeHTTP(w, r)
	return w, inner
}

func TestHandlerTakesTheTokenOffAndNothingElse(t *testing.T) {
	s := signer(t, nil)
	for _, c := range []struct{ signed, before, after, want string }{
		{"/a.ts", "?", "", "/a.ts"},
		{"/a.ts?x=1,2&&y=%7e+~", "?x=1,2&&y=%7e+~&", "", "/a.ts?x=1,2&&y=%7e+~"},
		{"/a.ts?x=1,2", "?", "&x=1,2", "/a.ts?x=1,2"},
		{"/a.ts?x=1&y", "?x=1&", "&y", "/a.ts?x=1&y"},
		{"/a.ts", "?", "&_HLS_msn=3", "/a.ts?_HLS_msn=3"},
		{"/a.ts?", "?&", "", "/a.ts?"},
		{"/p/a.ts?url=https%3A%2F%2Fh%2Fa", "?url=https%3A%2F%2Fh%2Fa&", "", "/p/a.ts?url=https%3A%2F%2Fh%2Fa"},
		{"/a%2Fb.ts", "?", "", "/a%2Fb.ts"},
	} {
		_, token, _ := parse(must(s.URL(c.signed)))
		path, _, _ := strings.Cut(c.signed, "?")
		r := request(path + c.before + "hpt=" + token + c.after)
		before := *r.URL
		w, inner := serve(s, r)
		require.Equal(t, 200, w.Code, c.signed)
		require.Equal(t, c.want, inner.RequestURI)
		require.Equal(t, c.want, inner.URL.String())
		require.Equal(t, before, *r.URL, "the outer request is not touched")
		require.Contains(t, r.RequestURI, token)
		g, ok := sign.FromContext(inner.Context())
		require.True(t, ok)
		require.Equal(t, must(s.Verify(r)), g)
	}
	_, ok := sign.FromContext(t.Context())
	require.False(t, ok)
}

func TestHandlerRefuses(t *testing.T) {
	teapot := func(r *http.Request, g sign.Grant) error {
		switch g.Session {
		case "revoked":
			return errors.New("secret reason")
		case "limited":
			return fmt.Errorf("wrapped: %w", status(429))
		}
		return nil
	}
	s := signer(t, func(c *sign.Config) { c.Refuse = teapot })
	under := func(change func(*sign.Grant)) string {
		g := must(s.Grant(nil))
		change(&g)
		return must(s.URLUnder(g, "/a.ts"))
	}
	past := time.Now().Add(-time.Hour)
	for name, c := range map[string]struct {
		method, link string
		status       int
	}{
		"no token":    {"GET", "/a.ts", 401},
		"bad token":   {"GET", "/a.ts?hpt=AAAA", 403},
		"expired":     {"GET", under(func(g *sign.Grant) { g.Expires = past }), 403},
		"too early":   {"GET", under(func(g *sign.Grant) { g.NotBefore = time.Now().Add(time.Minute) }), 403},
		"revoked":     {"GET", under(func(g *sign.Grant) { g.Session = "revoked" }), 403},
		"limited":     {"GET", under(func(g *sign.Grant) { g.Session = "limited" }), 429},
		"for writing": {"POST", under(func(*sign.Grant) {}), 405},
		"a post":      {"POST", "/a.ts", 401},
		"other":       {"GET", under(func(g *sign.Grant) { g.Session = "other" }), 200},
		"HEAD":        {"HEAD", under(func(*sign.Grant) {}), 200},
		"OPTIONS":     {"OPTIONS", under(func(*sign.Grant) {}), 200},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(c.link)
			r.Method = c.method
			w, inner := serve(s, r)
			require.Equal(t, c.status, w.Code)
			require.Equal(t, c.status == 200, inner != nil)
			if c.status == 200 {
				return
			}
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			require.Equal(t, http.StatusText(c.status)+"\n", w.Body.String())
			require.Equal(t, c.status == 401, w.Header().Get("WWW-Authenticate") != "")
			require.Equal(t, c.status == 405, w.Header().Get("Allow") != "")
			for _, v := range w.Header() {
				require.NotContains(t, v[0], "secret")
			}
		})
	}
	gone := signer(t, func(c *sign.Config) { c.Gone = true })
	w, _ := serve(gone, request(under(func(g *sign.Grant) { g.Expires = past })))
	require.Equal(t, 410, w.Code)
	w, _ = serve(gone, request("/a.ts?hpt=AAAA"))
	require.Equal(t, 403, w.Code)
}

type status int

func (status) Error() string     { return "limited" }
func (s status) HTTPStatus() int { return int(s) }

func TestErrorsSayNothing(t *testing.T) {
	for _, err := range []error{sign.ErrNoToken, sign.ErrBadToken, sign.ErrExpired, sign.ErrTooEarly, sign.ErrMethod, sign.ErrURL, sign.ErrNoViewer} {
		require.NotContains(t, err.Error(), "0123456789")
		require.True(t, strings.HasPrefix(err.Error(), "sign: "))
	}
	_, err := sign.New(sign.Config{Keys: []sign.Key{{ID: "a", Secret: []byte("hunter2")}, {ID: "a", Secret: []byte("hunter3")}}})
	require.ErrorContains(t, err, "7 bytes")
	require.NotContains(t, err.Error(), "hunter")
}

func TestLinksExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := signer(t, nil)
		time.Sleep(7*time.Minute + 300*time.Millisecond)
		begin := time.Now()
		link := must(s.URL("/a.ts"))
		g := must(s.Verify(request(link)))
		step := time.Hour / 16
		require.GreaterOrEqual(t, g.Expires.Sub(begin), time.Hour)
		require.Less(t, g.Expires.Sub(begin), time.Hour+step)
		time.Sleep(time.Until(g.Expires) + 30*time.Second)
		_, err := s.Verify(request(link))
		require.NoError(t, err, "clocks may differ by 30 seconds")
		time.Sleep(time.Nanosecond)
		_, err = s.Verify(request(link))
		require.ErrorIs(t, err, sign.ErrExpired)
	})
}

func TestShortLinksHaveALittleLeewayOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := signer(t, func(c *sign.Config) { c.TTL = time.Second })
		link := must(s.URL("/a.ts"))
		_, err := s.Verify(request(link))
		require.NoError(t, err)
		time.Sleep(2*time.Second + 501*time.Millisecond)
		_, err = s.Verify(request(link))
		require.ErrorIs(t, err, sign.ErrExpired)
	})
}

func TestLinksKeepTheirSpelling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, change := range []func(*sign.Config){nil, directory} {
			s := signer(t, change)
			time.Sleep(time.Until(time.Now().Truncate(time.Hour / 16).Add(time.Hour/16 + time.Second)))
			entry, free := must(s.URL("/live/v.m3u8")), child(t, s, t.Context(), "/live/1.ts")
			inside := child(t, s, admitted(t, s, entry), "/live/1.ts")
			time.Sleep(3 * time.Minute)
			require.Equal(t, entry, must(s.URL("/live/v.m3u8")), "within a step")
			require.Equal(t, free, child(t, s, t.Context(), "/live/1.ts"))
			time.Sleep(50 * time.Minute)
			require.NotEqual(t, free, child(t, s, t.Context(), "/live/1.ts"))
			require.Equal(t, inside, child(t, s, admitted(t, s, entry), "/live/1.ts"), "as long as the session lasts")
		}
	})
}

func TestNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := signer(t, nil)
		g := must(s.Grant(nil))
		g.NotBefore = time.Now().Add(10 * time.Minute)
		link := must(s.URLUnder(g, "/a.ts"))
		time.Sleep(9*time.Minute + 29*time.Second)
		_, err := s.Verify(request(link))
		require.ErrorIs(t, err, sign.ErrTooEarly)
		time.Sleep(time.Second)
		_, err = s.Verify(request(link))
		require.NoError(t, err)
	})
}

func TestClaims(t *testing.T) {
	s := signer(t, func(c *sign.Config) { c.Claims = func(r *http.Request) string { return r.Header.Get("X-Session") } })
	_, err := s.URL("/a.ts")
	require.ErrorIs(t, err, sign.ErrNoViewer)
	_, err = s.Sign(t.Context(), []byte("/a.ts"))
	require.ErrorIs(t, err, sign.ErrNoViewer)
	r := request("/page")
	r.Header.Set("X-Session", "one")
	link := must(s.URLFor(r, "/a.ts"))
	require.NotContains(t, link, "one")
	for session, ok := range map[string]bool{"one": true, "two": false, "": false, "onE": false, "one ": false} {
		r := request(link)
		r.Header.Set("X-Session", session)
		_, err := s.Verify(r)
		require.Equal(t, ok, err == nil, session)
	}
	ctx := sign.NewContext(t.Context(), must(s.Grant(r)))
	r2 := request(child(t, s, ctx, "/b.ts"))
	r2.Header.Set("X-Session", "one")
	require.Equal(t, "one", must(s.Verify(r2)).Claims)
	// The signature covers the lengths of claims and path, so that no byte can move from one to the other.
	moved := request(strings.Replace(link, "/a.ts", "/e/a.ts", 1))
	moved.Header.Set("X-Session", "on")
	_, err = s.Verify(moved)
	require.ErrorIs(t, err, sign.ErrBadToken)
}

func TestKeysRotateUnderLoad(t *testing.T) {
	s := signer(t, directory)
	old := must(s.URL("/live/a/master.m3u8"))
	ctx := admitted(t, s, old)
	var readers sync.WaitGroup
	failed := make(chan error, 4)
	for range 4 {
		readers.Go(func() {
			for range 2500 {
				link, err := s.Sign(ctx, []byte("/live/b/1.ts"))
				if err == nil {
					_, err = s.Verify(request(string(link)))
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	for range 50 {
		require.NoError(t, s.Rotate([]sign.Key{keyB, keyA}))
		require.NoError(t, s.Rotate([]sign.Key{keyA, keyB}))
	}
	require.NoError(t, s.Rotate([]sign.Key{keyB, keyA}))
	readers.Wait()
	require.Empty(t, failed)

	_, token, _ := parse(old)
	require.Contains(t, child(t, s, admitted(t, s, old), "/live/a/1.ts"), token, "a session keeps the spelling of its links")
	require.Equal(t, child(t, s, ctx, "/live/c/1.ts"), child(t, s, admitted(t, s, old), "/live/c/1.ts"))
	fresh := must(s.URL("/live/a/master.m3u8"))
	require.NotEqual(t, old, fresh, "a new one has the new key")
	require.Error(t, s.Rotate(nil))
	_, err := s.Verify(request(old))
	require.NoError(t, err)
	require.NoError(t, s.Rotate([]sign.Key{keyB}))
	_, err = s.Verify(request(old))
	require.ErrorIs(t, err, sign.ErrBadToken)
	_, err = s.Verify(request(child(t, s, ctx, "/live/d/1.ts")))
	require.NoError(t, err, "what outlives its key is signed by the new one")
	_, err = s.Verify(request(fresh))
	require.NoError(t, err)
}

func TestNewReportsAllFaults(t *testing.T) {
	_, err := sign.New(sign.Config{
		Keys: []sign.Key{{ID: "a", Secret: make([]byte, 15)}, {ID: "a", Secret: make([]byte, 16)}, {ID: strings.Repeat("x", 65), Secret: make([]byte, 16)}},
		TTL:  time.Millisecond, Renew: time.Microsecond, Scope: 2, Param: "_HLS_x", Alone: []string{"", "/key"},
	})
	require.Len(t, strings.Split(err.Error(), "\n"), 9, err)
	for name, c := range map[string]sign.Config{
		"no keys": {}, "negative TTL": {Keys: []sign.Key{keyA}, TTL: -time.Hour}, "space": {Keys: []sign.Key{keyA}, Param: "a b"},
		"partitioned": {Keys: []sign.Key{keyA}, Partitioned: true, Cookies: http.SameSiteLaxMode},
		"CMCD":        {Keys: []sign.Key{keyA}, Param: "CMCD"}, "escape": {Keys: []sign.Key{keyA}, Param: "a%20"},
		"a directive is ignored": {Keys: []sign.Key{keyA}, Ignore: []string{"_HLS_msn"}}, "a name in escapes": {Keys: []sign.Key{keyA}, Ignore: []string{"%5F"}},
		"the token is ignored": {Keys: []sign.Key{keyA}, Ignore: []string{"_", "hpt"}},
	} {
		s, err := sign.New(c)
		require.Error(t, err, name)
		require.Nil(t, s)
	}
	s := must(sign.New(sign.Config{Keys: []sign.Key{{Secret: keyA.Secret}}}))
	g := must(s.Verify(request(must(s.URL("/a.ts")))))
	require.InDelta(t, 24*time.Hour, time.Until(g.Expires), float64(91*time.Minute))
}

func TestGrantsThatFitNoToken(t *testing.T) {
	s := signer(t, nil)
	for name, g := range map[string]sign.Grant{
		"none": {}, "before 1970": {Expires: time.Unix(-1, 0)}, "far": {Expires: time.Unix(1<<40, 0)},
		"session": {Expires: time.Now().Add(time.Hour), Session: strings.Repeat("x", 256)},
	} {
		_, err := s.URLUnder(g, "/a.ts")
		require.Error(t, err, name)
	}
}

func TestSignersInARow(t *testing.T) {
	edge, origin := signer(t, func(c *sign.Config) { c.Param = "edge" }), signer(t, nil)
	link := must(edge.URL(must(origin.URL("/a.ts"))))
	_, inner := serve(edge, request(link))
	_, innermost := serve(origin, inner)
	require.Equal(t, "/a.ts", innermost.RequestURI)
}
