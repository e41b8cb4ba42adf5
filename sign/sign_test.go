package sign_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

var (
	keyA = sign.Key{ID: "a", Secret: []byte("0123456789abcdef0123456789abcdef")}
	keyB = sign.Key{ID: "b", Secret: []byte("fedcba9876543210")}
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// signer returns a signer with keyA and the changes of change.
func signer(t testing.TB, change func(*sign.Config)) *sign.Signer {
	t.Helper()
	c := sign.Config{Keys: []sign.Key{keyA}, TTL: time.Hour}
	if change != nil {
		change(&c)
	}
	s, err := sign.New(c)
	require.NoError(t, err)
	return s
}

func directory(c *sign.Config) { c.Scope = sign.Directory }

// request parses a client's URL as a server does. The client does not send the fragment.
func request(link string) *http.Request {
	link, _, _ = strings.Cut(link, "#")
	if !strings.HasPrefix(link, "/") || strings.HasPrefix(link, "//") {
		_, rest, _ := strings.Cut(link, "//")
		link = rest[strings.IndexByte(rest, '/'):]
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + link + " HTTP/1.1\r\nHost: media.example\r\n\r\n")))
	if err != nil {
		panic(err)
	}
	return r
}

// admitted returns the context of a handler behind s.
func admitted(t testing.TB, s *sign.Signer, link string) context.Context {
	t.Helper()
	var ctx context.Context
	w := httptest.NewRecorder()
	s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() })).ServeHTTP(w, request(link))
	require.Equal(t, 200, w.Code, link)
	return ctx
}

func child(t testing.TB, s *sign.Signer, ctx context.Context, public string) string {
	t.Helper()
	out, err := s.Sign(ctx, []byte(public))
	require.NoError(t, err, public)
	return string(out)
}

// publicURLs are URLs that mappers write, and URLs that a page could want a link for.
var publicURLs = []string{
	"/",
	"/live/master.m3u8",
	"/live/a%20b/seg-1.ts",
	"/live/a%2520b.ts?x=1,2",
	"/live/a%252Fb.ts",
	"/proxy/seg.ts?url=https%3A%2F%2Fcdn.example%2Fa%2Fseg.ts%3Fsig%3Da%252Fb~%26x",
	"/x/https/cdn.example:8443/a;v=1/seg.ts?token=abc&b=2&a=1&&c",
	"/live/seg.ts?",
	"/live/seg.ts?&",
	"/live/seg.ts?a=1&_HLS_interstitial_id=ad1",
	"/live/(a)!$&'*+,;=:@[1].ts?q=(a)!$'*+,;:@/?[]|",
	"/live/sprite.jpg?x=1#xywh=0,0,10,10",
	"/live/sprite.jpg#?&hpt=no",
	"https://media.example/live/seg.ts?x=1",
	"//media.example/live/seg.ts",
	"HTTPS://media.example/live/seg.ts#t=1",
	"/live/über.ts?t=é",
}

func TestWhatIsSignedVerifies(t *testing.T) {
	for name, s := range map[string]*sign.Signer{"exact": signer(t, nil), "directory": signer(t, directory)} {
		for _, u := range publicURLs {
			link := child(t, s, t.Context(), u)
			g, err := s.Verify(request(link))
			require.NoError(t, err, "%s: %s", name, link)
			require.Empty(t, g.Claims)

			link, err = s.URL(u)
			require.NoError(t, err)
			_, err = s.Verify(request(link))
			require.NoError(t, err, "%s: %s", name, link)
			_, err = url.Parse(link)
			require.NoError(t, err)
		}
	}
}

func TestTheTokenIsAppended(t *testing.T) {
	s := signer(t, nil)
	for u, want := range map[string]string{
		"/a.ts":             "/a.ts?hpt=*",
		"/a.ts?x=1,2":       "/a.ts?x=1,2&hpt=*",
		"/a.ts?":            "/a.ts?&hpt=*",
		"/a.ts#f":           "/a.ts?hpt=*#f",
		"/a.ts?x#f?y":       "/a.ts?x&hpt=*#f?y",
		"https://h/a.ts?x":  "https://h/a.ts?x&hpt=*",
		"https://h?x":       "https://h?x&hpt=*",
		"//h/a.ts":          "//h/a.ts?hpt=*",
		"/p/a.ts?u=http://": "/p/a.ts?u=http://&hpt=*",
	} {
		before, after, _ := strings.Cut(want, "*")
		got := child(t, s, t.Context(), u)
		require.True(t, strings.HasPrefix(got, before) && strings.HasSuffix(got, after), got)
		token := got[len(before) : len(got)-len(after)]
		require.Equal(t, "", strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), "needs no escaping")
		require.LessOrEqual(t, len(token), 40)
	}
}

func TestWhatCannotBeSigned(t *testing.T) {
	s := signer(t, nil)
	for _, u := range []string{"", "seg.ts", "../seg.ts", "?x=1", "#f", "skd://key", "data:text/plain,a", "urn:uuid:1", "file:///etc/passwd",
		"http://", "https:///a", "http:/a", "//", "///a", "http://?x"} {
		_, err := s.Sign(t.Context(), []byte(u))
		require.ErrorIs(t, err, sign.ErrURL, u)
		_, err = s.URL(u)
		require.ErrorIs(t, err, sign.ErrURL, u)
	}
	// Parameters that only look like that of the token stay.
	for _, u := range []string{"/a.ts?hptx=1", "/a.ts?x=hpt=1", "/hpt=1/a.ts", "/a.ts?xhpt=1", "/a.ts?hp"} {
		_, err := s.Verify(request(child(t, s, t.Context(), u)))
		require.NoError(t, err, u)
	}
}

func TestSignExtendsInPlaceAndKeepsTheRest(t *testing.T) {
	buf := append(make([]byte, 0, 200), "KEEP/live/seg.ts"...)
	out := must(signer(t, nil).Sign(t.Context(), buf[4:]))
	require.Equal(t, &buf[4], &out[0])
	require.Equal(t, "KEEP/live/seg.ts", string(buf))
}

// A player adds directives and CMCD to playlist URLs, on either side of the token and sorted (RFC 8216bis, 6.2.5).
func TestWhatPlayersAddIsFree(t *testing.T) {
	for _, s := range []*sign.Signer{signer(t, nil), signer(t, directory)} {
		link := must(s.URL("/live/v.m3u8?a=1"))
		token := link[strings.Index(link, "hpt="):]
		for _, q := range []string{
			"a=1&" + token + "&_HLS_msn=5&_HLS_part=0", "_HLS_msn=5&_HLS_part=0&a=1&" + token, "a=1&" + token + "&CMCD=br%3D3200%2Csid%3D%22x%22",
			token + "&a=1", "_HLS_skip=YES&" + token + "&_HLS_x&CMCD&a=1",
		} {
			_, err := s.Verify(request("/live/v.m3u8?" + q))
			require.NoError(t, err, q)
		}
	}
}

func TestChildrenInheritTheGrant(t *testing.T) {
	claims := func(r *http.Request) string { return r.Header.Get("X-Session") }
	for name, scope := range map[string]sign.Scope{"exact": sign.Exact, "directory": sign.Directory} {
		t.Run(name, func(t *testing.T) {
			s := signer(t, func(c *sign.Config) { c.Scope, c.Claims = scope, claims })
			page := request("/page")
			page.Header.Set("X-Session", "one")
			g := must(s.Grant(page))
			g.Expires, g.Session = g.Expires.Add(-30*time.Minute), "s1"
			link := must(s.URLUnder(g, "/live/a/master.m3u8"))
			r := request(link)
			r.Header.Set("X-Session", "one")
			s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				for _, u := range []string{"/live/a/v1/index.m3u8", "/live/b/audio.m3u8", "/live/a/%2e%2e/x.ts", "https://h/live/a/k.key"} {
					link := child(t, s, r.Context(), u)
					r := request(link)
					r.Header.Set("X-Session", "one")
					got, err := s.Verify(r)
					if strings.Contains(u, "%2e") && err != nil {
						t.Fatalf("a token of its own must open it: %v", err)
					}
					require.NoError(t, err, u)
					require.Equal(t, g, got)
					r.Header.Set("X-Session", "two")
					_, err = s.Verify(r)
					require.ErrorIs(t, err, sign.ErrBadToken)
				}
			})).ServeHTTP(httptest.NewRecorder(), r)
		})
	}
}

func TestDirectoryTokens(t *testing.T) {
	s := signer(t, directory)
	entry := must(s.URL("/live/a/master.m3u8"))
	_, token, _ := strings.Cut(entry, "?")
	ctx := admitted(t, s, entry)
	for _, below := range []string{"/live/a/x.ts", "/live/a/v1/index.m3u8", "/live/a/v1/2/s.ts?x=1", "/live/a/", "https://h/live/a/y.ts"} {
		require.True(t, strings.HasSuffix(child(t, s, ctx, below), token), "one token for all below")
	}
	b := child(t, s, ctx, "/live/b/audio.m3u8")
	require.NotContains(t, b, token)
	_, tokenB, _ := strings.Cut(b, "?")
	_, err := s.Verify(request(b))
	require.NoError(t, err)
	_, err = s.Verify(request("/live/b/1.aac?" + tokenB))
	require.ErrorIs(t, err, sign.ErrBadToken, "outside of the link's directory, a token opens what the playlist names and no more")
	require.Equal(t, child(t, s, admitted(t, s, entry), "/live/b/c/1.aac"), child(t, s, ctx, "/live/b/c/1.aac"), "whatever came before")
	for _, u := range []string{"/live/a/new.ts?q=free", "/live/a/b/c/d.ts"} {
		_, err := s.Verify(request(strings.Replace(u+"&"+token, "ts&", "ts?", 1)))
		require.NoError(t, err, u)
	}
	for i := range 40 { // more directories than are kept
		dir := "/live/" + strings.Repeat("d", i+1) + "/"
		_, err := s.Verify(request(child(t, s, ctx, dir+"x.ts")))
		require.NoError(t, err)
	}
	require.True(t, strings.HasSuffix(child(t, s, ctx, "/live/a/x.ts"), token), "still the one for all below")
	deep := strings.Repeat("/d", 300) + "/x.ts"
	_, err = s.Verify(request(child(t, s, ctx, deep)))
	require.NoError(t, err, "too deep for a directory's token")
}

// SignAlike promises that Sign appends the same to URLs that differ only in digits of their file name and in their query.
func TestSignAlike(t *testing.T) {
	inside, outside := "/live/a/master.m3u8", "/vod/master.m3u8"
	renewed := func(c *sign.Config) { c.Scope, c.Renew = sign.Directory, 3*time.Hour }
	alone := func(c *sign.Config) { c.Scope, c.Alone = sign.Directory, []string{".key"} }
	for name, c := range map[string]struct {
		change func(*sign.Config)
		public string
		want   bool
	}{
		"segment":           {directory, "/live/a/v1/s%d.ts", true},
		"no extension":      {directory, "/live/a/s%d", true},
		"query":             {directory, "/live/a/s1.ts?t=%d", true},
		"absolute":          {directory, "https://h1/x/s%d.ts", true},
		"renewed":           {renewed, "/live/a/s%d.ts", true},
		"renewed playlist":  {renewed, "/live/a/s%d.m3u8", true},
		"not alone":         {alone, "/live/a/s%d.ts", true},
		"alone":             {alone, "/live/a/s%d.key", false},
		"alone by a digit":  {func(c *sign.Config) { c.Scope, c.Alone = sign.Directory, []string{"7.ts"} }, "/live/a/s%d.ts", false},
		"param with digits": {func(c *sign.Config) { c.Scope, c.Param = sign.Directory, "t1" }, "/live/a/s1.ts?t%d=1", false},
		"exact":             {nil, "/live/a/s%d.ts", false},
		"escaped":           {directory, "/live/a/%%2%d.ts", false},
		"dot segment":       {directory, "/live/a/../s%d.ts", false},
		"fragment":          {directory, "/live/a/s1.ts?a#%d", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := signer(t, c.change)
			for where, ctx := range map[string]context.Context{
				"any": t.Context(), "any by NewContext": sign.NewContext(t.Context(), must(s.Grant(nil))),
				"/live/a/": admitted(t, s, must(s.URL(inside))), "/vod/": admitted(t, s, must(s.URL(outside))),
			} {
				first := fmt.Sprintf(c.public, 2)
				token, ok := strings.CutPrefix(child(t, s, ctx, first), first)
				want := c.want && (where[0] != '/' || strings.HasPrefix(first, where))
				require.Equal(t, want, s.SignAlike(ctx, []byte(first)), where)
				for i := range 30 {
					if u := fmt.Sprintf(c.public, i*i*i); want {
						require.True(t, ok)
						require.Equal(t, u+token, child(t, s, ctx, u))
						require.True(t, s.SignAlike(ctx, []byte(u)))
					}
				}
			}
		})
	}
}

func TestAloneNeedsATokenOfItsOwn(t *testing.T) {
	s := signer(t, func(c *sign.Config) { c.Scope, c.Alone = sign.Directory, []string{".key"} })
	ctx := admitted(t, s, must(s.URL("/live/a/master.m3u8")))
	segment := child(t, s, ctx, "/live/a/1.ts")
	_, token, _ := strings.Cut(segment, "?")
	for _, name := range []string{
		"1.key", "1.KEY", "1.%6bey", "1.%6Bey", "1%2ekey", "1.%256bey", "%31.k%2565y", "1.key;v=1", "1.key%3bv", "1.key/", "1.key/2.ts", "b/1.key",
		"1;.key", "1;a.key", "1;a.key;b", "1%3ba.key", "1%253Ba.key", "1.key%20", "1.key.", "1.key%2520", "1.key::$DATA", "1.key%3fx", "1.key%250a",
	} {
		_, err := s.Verify(request("/live/a/" + name + "?" + token))
		require.ErrorIs(t, err, sign.ErrBadToken, name)
	}
	for _, name := range []string{"key", "1.keys", "1.key.ts", "1.k%20ey", "1.key1;x", "1.ke"} {
		_, err := s.Verify(request("/live/a/" + name + "?" + token))
		require.NoError(t, err, name)
	}
	key := child(t, s, ctx, "/live/a/1.key")
	_, err := s.Verify(request(key))
	require.NoError(t, err)
	odd := child(t, s, ctx, "/live/a/1.%6bey;v=1/x")
	_, err = s.Verify(request(odd))
	require.NoError(t, err, "signed for itself")
	require.NotContains(t, odd, token)
	_, err = s.Verify(request(strings.Replace(key, "1.key", "2.key", 1)))
	require.ErrorIs(t, err, sign.ErrBadToken)
}

func TestConcurrentUse(t *testing.T) {
	s := signer(t, directory)
	ctx := admitted(t, s, must(s.URL("/live/a/master.m3u8")))
	done := make(chan string)
	for i := range 8 {
		go func() {
			dir := "/live/" + string(rune('a'+i)) + "/x.ts"
			link := dir
			for range 100 {
				out, err := s.Sign(ctx, []byte(dir))
				if err != nil {
					link = err.Error()
					break
				}
				link = string(out)
			}
			done <- link
		}()
	}
	for range 8 {
		_, err := s.Verify(request(<-done))
		require.NoError(t, err)
	}
}

// Clients escape paths in different ways: browsers escape a blank and keep parentheses, net/http escapes both.
func TestAllClientsOpenALinkWithAnOddPath(t *testing.T) {
	for _, scope := range []sign.Scope{sign.Exact, sign.Directory} {
		s := signer(t, func(c *sign.Config) { c.Scope = scope })
		for _, path := range []string{
			"/film (1)/a (2).ts", "/a'b c.ts", "/(\u00e9).ts", "/{a}(1).ts", "/a\"(b).ts", "/a|(b)^.ts", "/a\\(b).ts", "/a (1).ts?x=y z'", "/a (1).ts#(f",
		} {
			link := child(t, s, t.Context(), path)
			browsers := strings.NewReplacer(" ", "%20", "\u00e9", "%C3%A9", "{", "%7B", "}", "%7D", `"`, "%22", `\`, "/").Replace(link)
			if at := strings.IndexByte(browsers, '?'); at >= 0 {
				browsers = browsers[:at] + strings.ReplaceAll(browsers[at:], "'", "%27")
			}
			_, err := s.Verify(request(browsers))
			require.NoError(t, err, "a browser, scope %d: %s", scope, path)
			if strings.Contains(path, "?") {
				continue // net/http sends a query unchanged
			}
			_, err = s.Verify(request(must(url.Parse(link)).RequestURI()))
			require.NoError(t, err, "net/http, scope %d: %s", scope, path)
		}
	}
}
