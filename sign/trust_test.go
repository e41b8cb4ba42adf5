package sign_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

// inner is the context of a request that handlers have admitted.
func inner(t testing.TB, link string, handlers ...func(http.Handler) http.Handler) context.Context {
	t.Helper()
	var ctx context.Context
	var h http.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() })
	for i := len(handlers) - 1; i >= 0; i-- {
		h = handlers[i](h)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request(link))
	require.Equal(t, 200, w.Code, link)
	return ctx
}

func TestSignersInARowKeepTheirGrants(t *testing.T) {
	for _, scope := range []sign.Scope{sign.Exact, sign.Directory} {
		ring := make([]*sign.Signer, 3)
		for i, ttl := range []time.Duration{time.Minute, 240 * time.Hour, time.Hour} {
			ring[i] = signer(t, func(c *sign.Config) { c.Scope, c.TTL, c.Param = scope, ttl, string(rune('a'+i)) })
		}
		link := "/live/v.m3u8"
		for i := range ring { // an outer signer covers the tokens of the inner ones
			s := ring[2-i]
			g := must(s.Grant(nil))
			g.Session = "session " + string(rune('c'-i))
			link = must(s.URLUnder(g, link))
		}
		ctx := inner(t, link, ring[0].Handler, ring[1].Handler, ring[2].Handler)
		for _, public := range []string{"/live/1.ts", "/other/1.ts"} {
			for i, s := range ring {
				g, err := s.Verify(request(child(t, s, ctx, public)))
				require.NoError(t, err)
				require.Equal(t, "session "+string(rune('a'+i)), g.Session)
				require.LessOrEqual(t, time.Until(g.Expires), []time.Duration{time.Minute, 240 * time.Hour, time.Hour}[i]*17/16+time.Second)
			}
		}
		g, ok := sign.FromContext(ctx)
		require.True(t, ok)
		require.Equal(t, "session c", g.Session, "the innermost")
	}
}

func TestAsksInARowKeepTheirTokens(t *testing.T) {
	yes := func(context.Context, sign.Question) error { return nil }
	a, b := &sign.Ask{Decide: yes, Param: "a"}, &sign.Ask{Decide: yes, Param: "b"}
	ctx := inner(t, "/v.m3u8?a=1&b=2", a.Handler, b.Handler)
	require.Equal(t, "/1.ts?a=1&b=2", string(must(b.Sign(ctx, must(a.Sign(ctx, []byte("/1.ts")))))))
}

// A playlist can open to its viewers only the single URLs that it names.
func TestPlaylistsDoNotWidenTokens(t *testing.T) {
	s := signer(t, func(c *sign.Config) { c.Scope, c.Renew = sign.Directory, 48*time.Hour })
	wide := must(s.Grant(nil))
	wide.Directory = "/live/"
	for name, c := range map[string]struct {
		ctx  context.Context
		tree string
	}{
		"entry link":       {inner(t, must(s.URL("/live/a/v.m3u8")), s.Handler), "/live/a/"},
		"wide grant":       {inner(t, must(s.URLUnder(wide, "/live/a/v.m3u8")), s.Handler), "/live/"},
		"wide NewContext":  {sign.NewContext(t.Context(), wide), "/live/"},
		"link of one URL":  {inner(t, must(s.URL("/live//v.m3u8")), s.Handler), "none"},
		"another signer's": {inner(t, must(s.URL("/live/a/v.m3u8")), s.Handler), "/live/a/"},
	} {
		t.Run(name, func(t *testing.T) {
			signing := s
			if name == "another signer's" {
				signing = signer(t, func(c *sign.Config) { c.Scope, c.Param = sign.Directory, "other" })
			}
			for _, public := range []string{
				"/live/a/1.ts", "/live/a/v/w/2.m3u8", "/live/x.ts", "/x/http/any.example", "/live/b/film.ts", "/1.ts", "https://h/live/b/3.ts", "/live/ab/1.ts",
			} {
				signed := child(t, signing, c.ctx, public)
				_, err := signing.Verify(request(signed))
				require.NoError(t, err)
				_, token, _ := strings.Cut(signed, "?")
				path := strings.TrimPrefix(public, "https://h")
				for _, other := range []string{"/live/a/9.ts", "/live/b/9.ts", "/9.ts", "/x/http/9.ts"} {
					_, err := signing.Verify(request(other + "?" + token))
					require.Equal(t, strings.HasPrefix(path, c.tree) && strings.HasPrefix(other, c.tree), err == nil, "%s opens %s", signed, other)
				}
			}
		})
	}
	_, err := s.URLUnder(wide, "/vod/v.m3u8")
	require.NoError(t, err, "a link outside of the tree opens itself")
	for _, dir := range []string{"live/", "/live", "/a/../", "/a//"} {
		g := wide
		g.Directory = dir
		_, err := s.URLUnder(g, "/live/v.m3u8")
		require.Error(t, err, dir)
	}
}

// A token of a directory does not cover the query, and variables in the query decide what is signed next.
func TestCarriedVariablesNeedATokenOfTheirOwn(t *testing.T) {
	s := signer(t, directory)
	entry := must(s.URL("/live/show/master.m3u8"))
	_, token, _ := strings.Cut(entry, "?")
	ctx := inner(t, entry, s.Handler)
	for _, query := range []string{"%23hls-define:base=x", "%2523hls-define:base=..%2Fother", "a=1&%2523hls-define%3Abase=x", "%2523%68ls-def%2569ne:a=b", "%2523hls%2ddefine:a=b", "%2523hls%252Ddefine:a=b"} {
		_, err := s.Verify(request("/live/show/v.m3u8?" + query + "&" + token))
		require.ErrorIs(t, err, sign.ErrBadToken, query)
		signed := child(t, s, ctx, "/live/show/v.m3u8?"+query)
		require.NotContains(t, signed, token)
		_, err = s.Verify(request(signed))
		require.NoError(t, err, query)
		_, err = s.Verify(request(strings.Replace(signed, "?", "?x=", 1)))
		require.ErrorIs(t, err, sign.ErrBadToken, query)
	}
	for _, query := range []string{"define=1", "t=%2F%3D%7e", "x=%6", "x=%25", "hls%2"} {
		require.Equal(t, "/live/show/v.m3u8?"+query+"&"+token, child(t, s, ctx, "/live/show/v.m3u8?"+query))
	}
}

// An origin of the same kind uses the same parameter, and its own token must reach it.
func TestAParameterOfTheSameNameIsAnothersAndStays(t *testing.T) {
	for name, s := range map[string]*sign.Signer{"exact": signer(t, nil), "directory": signer(t, directory)} {
		t.Run(name, func(t *testing.T) {
			for _, query := range []string{"hpt=theirs", "hpt", "x&hpt=a&hpt=b", "hpt.=a", "hpt..=a&hpt=b", "hptx=1", "x=hpt", "h%70t=1", "%68pt.=1", "hpt=1&_HLS_msn=3"} {
				for _, link := range []string{child(t, s, t.Context(), "/live/a.ts?"+query+"#f"), must(s.URL("/live/a.ts?" + query))} {
					link, _, _ = strings.Cut(link, "#")
					again := must(url.Parse(link)).Query() // as players write it when they add a parameter
					require.Len(t, again["hpt"], 1)
					r := request(link)
					var got *http.Request
					w := httptest.NewRecorder()
					s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r })).ServeHTTP(w, r)
					require.Equal(t, 200, w.Code, link)
					require.Equal(t, must(url.ParseQuery(query)), must(url.ParseQuery(got.URL.RawQuery)), link)
					require.Equal(t, got.URL.RequestURI(), got.RequestURI)
				}
			}
			_, err := s.Verify(request(strings.Replace(must(s.URL("/live/a.ts")), "?", "?hpt=x&", 1)))
			require.ErrorIs(t, err, sign.ErrBadToken, "two")
		})
	}
	exact := signer(t, nil)
	_, err := exact.Verify(request(strings.Replace(must(exact.URL("/live/a.ts?hpt=theirs")), "theirs", "others", 1)))
	require.ErrorIs(t, err, sign.ErrBadToken, "it is covered")
}

func TestAnswersAreNotSharedBeyondWhatTheyDependOn(t *testing.T) {
	s := signer(t, func(c *sign.Config) {
		c.Scope = sign.Directory
		c.Claims = func(r *http.Request) string { return r.Header.Get("User-Agent") }
	})
	type userKey struct{}
	var asked atomic.Int64
	ask := &sign.Ask{Anonymous: true, Decide: func(ctx context.Context, q sign.Question) error {
		asked.Add(1)
		if g, _ := sign.FromContext(ctx); g.Claims != "alice" || ctx.Value(userKey{}) != nil {
			return errors.New("only alice")
		}
		return nil
	}}
	h := s.Handler(ask.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	for user, want := range map[string]int{"alice": 200, "bob": 403} {
		r := request("/live/a.ts")
		r.Header.Set("User-Agent", user)
		r = r.WithContext(context.WithValue(r.Context(), userKey{}, user))
		link := must(s.URLFor(r, "/live/a.ts"))
		for range 3 {
			again := request(link)
			again.Header, again.RemoteAddr = r.Header, r.RemoteAddr
			w := httptest.NewRecorder()
			h.ServeHTTP(w, again.WithContext(r.Context()))
			require.Equal(t, want, w.Code, user)
		}
	}
	require.EqualValues(t, 2, asked.Load())

	hosts := map[string]bool{}
	ask = &sign.Ask{Decide: func(_ context.Context, q sign.Question) error { hosts[q.Host+" "+q.MediaSessionID] = true; return nil }}
	for _, host := range []string{"a.example", "A.example", "b.example", "a.example:8080"} {
		r := request("/live/a.ts?token=t")
		r.Host = host
		w, _ := admit(ask, r)
		require.Equal(t, 200, w.Code)
	}
	require.Len(t, hosts, 3)
}

func TestNamesOfStreamsStayApart(t *testing.T) {
	for path, want := range map[string]string{
		"/.show/a.ts": ".show", "/show./a.ts": "show.", "/...show.../a.ts": "...show...", "/.live/show/a.ts": ".live/show", "/live/show./a.ts": "live/show.",
		"/live/sh%6fw/a.ts": "live/show", "/live/sh%256fw/a.ts": "live/show", "/live/show/": "live/show", "/a.ts": "", "/live/a%20b/a.ts": "live/a b",
	} {
		var got string
		w, _ := admit(&sign.Ask{Decide: func(_ context.Context, q sign.Question) error { got = q.Name; return nil }}, request(path+"?token=t"))
		require.Equal(t, 200, w.Code, path)
		require.Equal(t, want, got, path)
	}
}

// If a server could take a path for a kind that the backend is asked about, the backend is asked.
func TestNoSpellingGetsAroundKinds(t *testing.T) {
	for kind, paths := range map[sign.Kind][]string{
		sign.KindPlaylist: {"/a/v.m3u8", "/a/v%2em3u8", "/a/v%25252em3u8", "/a/v.M3U8;x", "/a/x;v.m3u8", "/a/v.m3u8/", "/a/v.m3u8/x.ts", "/a/v.m3u8%20", "/a/v.m3u8.", "/a/v.m3u8%3Fx.ts", "/a/v.m3u8::$DATA"},
		sign.KindKey:      {"/a/k.key", "/a/k%25252ekey", "/a/k.%25256bey", "/a/x;k.key;y", "/a/k.key/1.ts", "/a/k.key%252F%20"},
		sign.KindSegment:  {"/a/1.ts", "/a/1", "/a/1.ts;x.key", "/a/1;x.key", "/a/1.ts/x.key", "/a/1.ts%3Bx.key", "/a/1.ts%253Bx.m3u8", "/a/1.ts%3Fx.m3u8"},
	} {
		ask := &sign.Ask{Kinds: []sign.Kind{kind}, Decide: func(_ context.Context, q sign.Question) error {
			if q.Kind != kind {
				return errors.New("asked about " + string(q.Kind))
			}
			return nil
		}}
		for _, path := range paths {
			w, _ := admit(ask, request(path))
			require.Contains(t, []int{401, 403}, w.Code, "%s is a %s", path, kind)
		}
		others := map[sign.Kind]string{sign.KindPlaylist: "/a/1.ts", sign.KindKey: "/a/1.ts", sign.KindSegment: "/a/k.key"}
		w, _ := admit(ask, request(others[kind]))
		require.Equal(t, 200, w.Code, kind)
	}
}

func TestAPanicOfAHookReachesNoOrigin(t *testing.T) {
	log.SetOutput(io.Discard)
	defer log.SetOutput(os.Stderr)
	boom := func(*http.Request) string { panic("boom") }
	plain := signer(t, nil)
	link := must(plain.URL("/live/a.ts"))
	for name, h := range map[string]func(http.Handler) http.Handler{
		"Refuse":   signer(t, func(c *sign.Config) { c.Refuse = func(*http.Request, sign.Grant) error { panic([]int{1}) } }).Handler,
		"Claims":   signer(t, func(c *sign.Config) { c.Claims = boom }).Handler,
		"Describe": (&sign.Ask{Anonymous: true, Decide: func(context.Context, sign.Question) error { return nil }, Describe: func(r *http.Request, _ *sign.Question) { boom(r) }}).Handler,
	} {
		w := httptest.NewRecorder()
		h(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error(name) })).ServeHTTP(w, request(link))
		require.Equal(t, 500, w.Code, name)
		require.NotContains(t, w.Body.String(), "boom")
	}
	_, err := signer(t, func(c *sign.Config) { c.Refuse = func(*http.Request, sign.Grant) error { panic("boom") } }).Verify(request(link))
	var known interface{ HTTPStatus() int }
	require.ErrorAs(t, err, &known)
	require.Equal(t, 500, known.HTTPStatus())
	abort := signer(t, func(c *sign.Config) { c.Refuse = func(*http.Request, sign.Grant) error { panic(http.ErrAbortHandler) } })
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { abort.Handler(nil).ServeHTTP(httptest.NewRecorder(), request(link)) })
	for _, odd := range []int{0, 42, 200, 302, 1000} {
		s := signer(t, func(c *sign.Config) { c.Refuse = func(*http.Request, sign.Grant) error { return status(odd) } })
		w := httptest.NewRecorder()
		s.Handler(nil).ServeHTTP(w, request(link))
		require.Equal(t, 403, w.Code, odd)
	}
}

// A parameter that no signature covers and no player sends must not reach the key of a cache.
func TestInventedDirectivesStayOutside(t *testing.T) {
	s, dir := signer(t, nil), signer(t, directory)
	for _, c := range []struct{ path, added, want string }{
		{"/live/v.m3u8?a=1", "_HLS_msn=3&_HLS_part=1", "a=1&_HLS_msn=3&_HLS_part=1"},
		{"/live/v.m3u8?a=1", "_HLS_whatever=1&_HLS_msn=3", "a=1&_HLS_msn=3"},
		{"/live/v.m3u8", "_HLS_msn=3&_HLS_msn=4", "_HLS_msn=3"},
		{"/live/v.m3u8", "_HLS_msn=x&_HLS_skip=NO", ""},
		{"/live/v.m3u8", "_HLS_msn=99999999999999999999", ""},
		{"/live/v", "_HLS_skip=v2&CMCD=x", "_HLS_skip=v2&CMCD=x"},
		{"/live/1.ts", "_HLS_msn=3&_HLS_x=1", "_HLS_msn=3"},
		{"/live/1.ts", "CMCD=x", "CMCD=x"},
	} {
		link := must(s.URL(c.path))
		var got *http.Request
		w := httptest.NewRecorder()
		s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r })).ServeHTTP(w, request(link+"&"+c.added))
		require.Equal(t, 200, w.Code, link)
		require.Equal(t, c.want, got.URL.RawQuery, link)
		require.Equal(t, got.URL.RequestURI(), got.RequestURI)
		dir.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r })).ServeHTTP(w, request(must(dir.URL(c.path))+"&"+c.added))
		_, query, _ := strings.Cut(c.path, "?")
		require.Equal(t, strings.Trim(query+"&"+c.added, "&"), got.URL.RawQuery, "under a token of a directory the query is free")
	}
}

// Something on the way may remove the bytes beside the dots.
func TestDotsWithCompanyAreInNoDirectory(t *testing.T) {
	s := signer(t, directory)
	_, token, _ := strings.Cut(must(s.URL("/v/title1/a.m3u8")), "?")
	for _, path := range []string{
		"..%2520/x", "%250A../x", ".%09./x", "..%00/x", "%00", "..%20/x", "%0A../x", "..%250d/x", "%7f../x", "..%3fx", "..%23", "..%253f", "..;x/y", "%2e%2e%20/x", "x/..%0b/y",
		"%ef%bc%8e%ef%bc%8e/x", "%e2%80%a5/x", "x%ef%bc%8f..%ef%bc%8fy", "%25ef%25bc%258e./x", "..%c2%a0/x", ".%e2%80%8b./x", "..%c2%ad", ".%20.",
	} {
		_, err := s.Verify(request("/v/title1/" + path + "?" + token))
		require.ErrorIs(t, err, sign.ErrBadToken, path)
	}
	for _, path := range []string{"a%20b.ts", "a%09b.ts", ".hidden.ts", "a..ts", "...%20x", "%ef%bc%91%ef%bc%8f%ef%bc%92.ts", "%c2%a0a.ts", "a%3fb.ts", "x;..y"} {
		_, err := s.Verify(request("/v/title1/" + path + "?" + token))
		require.NoError(t, err, path)
	}
	r := request("/v/title1/a.ts?" + token)
	r.URL = must(url.Parse("http://u:p@h/v/title1/a.ts?" + token))
	_, err := s.Verify(r)
	require.ErrorIs(t, err, sign.ErrBadToken, "user information in the target")
}
