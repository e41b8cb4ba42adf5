package sign_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/maker"
	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

// What a browser sends back is sent back, however an origin writes its cookies.
func TestCookiesAreReadAsBrowsersReadThem(t *testing.T) {
	s := sealer(t, sign.Exact)
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC1123)
	for name, c := range map[string]struct {
		set  []string
		want string
	}{
		"JSON":                      {[]string{`p={"a":1,"b":"x"}; Path=/`}, `p={"a":1,"b":"x"}`},
		"quotes":                    {[]string{`p="a b"`}, `p="a b"`},
		"a backslash":               {[]string{`p=a\b`}, `p=a\b`},
		"a comma":                   {[]string{"p=a,b"}, "p=a,b"},
		"letters beyond ASCII":      {[]string{"p=é"}, "p=é"},
		"a tab":                     {[]string{"p=a\tb"}, "p=a\tb"},
		"a control character":       {[]string{"p=a\x01b", "q=1"}, "q=1"},
		"brackets in a name":        {[]string{"a[b]=1"}, "a[b]=1"},
		"a colon in a name":         {[]string{"a:b=1"}, "a:b=1"},
		"equals signs":              {[]string{"t=URLPrefix=aHR0:Expires=17:Signature=ab=="}, "t=URLPrefix=aHR0:Expires=17:Signature=ab=="},
		"no equals sign":            {[]string{"token"}, "token"},
		"nothing":                   {[]string{"", "=", " ; a=1"}, ""},
		"an empty value":            {[]string{"a="}, "a="},
		"blanks":                    {[]string{"  a = 1  ; path = / "}, "a=1"},
		"a date of nobody":          {[]string{"a=1; Expires=tomorrow"}, "a=1"},
		"a date of C":               {[]string{"a=1; Expires=Thu Jan  1 00:00:01 1970"}, ""},
		"a date of Netscape":        {[]string{"a=1; Expires=Thursday, 01-Jan-70 00:00:01 UTC"}, ""},
		"a date to come":            {[]string{"a=1; expires=" + later}, "a=1"},
		"an age counts more":        {[]string{"a=1; Max-Age=100; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "b=1; Max-Age=0; Expires=" + later}, "a=1"},
		"an age that is none":       {[]string{"a=1; Max-Age=x", "b=1; Max-Age=+1", "c=1; Max-Age=-5"}, "a=1; b=1"},
		"an age of many digits":     {[]string{"a=1; Max-Age=99999999999999999999999", "b=1; Max-Age=-99999999999999999999999"}, "a=1"},
		"a domain of its own":       {[]string{"a=1; Domain=.h.example", "b=1; Domain=H.Example", "c=1; Domain="}, "a=1; b=1; c=1"},
		"a domain of others":        {[]string{"a=1; Domain=x.h.example", "b=1; Domain=ample", "c=1; Domain=example"}, ""},
		"a path without a slash":    {[]string{"a=1; Path=live"}, "a=1"},
		"a path elsewhere":          {[]string{"a=1; Path=/liv", "b=1; Path=/live/"}, "b=1"},
		"attributes of today":       {[]string{"a=1; SameSite=None; Secure; Partitioned; Priority=High"}, "a=1"},
		"the last attribute counts": {[]string{"a=1; Path=/x; Path=/"}, "a=1"},
	} {
		t.Run(name, func(t *testing.T) {
			v := visitOf(t, s, must(s.URL("https://h.example/live/m.m3u8", sign.Upstream{Cookies: true})))
			maker.FromContext(v.ctx).Received(must(url.Parse("https://h.example/live/m.m3u8")), http.Header{"Set-Cookie": c.set})
			for range 2 {
				require.Equal(t, c.want, v.sent("https://h.example/live/1.ts").Get("Cookie"))
				v = visitOf(t, s, v.sign(s, "https://h.example/live/v.m3u8"))
			}
		})
	}
}

// Whoever can answer in the name of an http origin changes nothing that comes and goes over https.
func TestCookiesOverHTTPReplaceNoneOfHTTPS(t *testing.T) {
	const safe = "sid=good; Secure; Path=/live"
	for name, c := range map[string]struct{ first, from, then, want string }{
		"of that name":             {safe, "http://h.example/live/m.m3u8", "sid=bad", "sid=good"},
		"of a longer path":         {safe, "http://h.example/live/a/m.m3u8", "sid=bad; Path=/live/a/", "sid=good"},
		"of the domain above":      {safe, "http://h.example/live/m.m3u8", "sid=bad; Domain=h.example; Path=/live", "sid=good"},
		"from a host below":        {safe + "; Domain=h.example", "http://x.h.example/live/m.m3u8", "sid=bad; Domain=h.example; Path=/live", "sid=good"},
		"deleted":                  {safe, "http://h.example/live/m.m3u8", "sid=; Path=/live; Max-Age=0", "sid=good"},
		"that says it is secure":   {"", "http://h.example/live/m.m3u8", "sid=bad; Secure", ""},
		"without a name":           {safe, "http://h.example/live/m.m3u8", "=sid=bad; Path=/live", "sid=good"},
		"of another name":          {safe, "http://h.example/live/m.m3u8", "lang=en", "sid=good; lang=en"},
		"of a path above":          {safe, "http://h.example/m.m3u8", "sid=2; Path=/", "sid=good; sid=2"},
		"of a path above, first":   {"sid=2; Path=/", "https://h.example/live/m.m3u8", safe, "sid=good; sid=2"},
		"in place of a plain one":  {"sid=1; Path=/live", "http://h.example/live/m.m3u8", "sid=2; Path=/live", "sid=2"},
		"and https in place of it": {safe, "https://h.example/live/m.m3u8", "sid=2; Path=/live", "sid=2"},
		"secure without a name":    {"=sid=good; Secure; Path=/live", "http://h.example/live/m.m3u8", "sid=bad", "sid=good"},
	} {
		t.Run(name, func(t *testing.T) {
			s := sealer(t, sign.Exact)
			v := visitOf(t, s, must(s.URL("https://h.example/live/m.m3u8", sign.Upstream{Cookies: true})))
			received := maker.FromContext(v.ctx).Received
			received(must(url.Parse("https://h.example/live/m.m3u8")), http.Header{"Set-Cookie": {c.first}})
			received(must(url.Parse(c.from)), http.Header{"Set-Cookie": {c.then}})
			require.Equal(t, c.want, v.sent("https://h.example/live/a/1.ts").Get("Cookie"))
		})
	}
}

// An origin decides what its own Cookie field says, and nothing else of a request.
func FuzzSetCookie(f *testing.F) {
	f.Add("a=1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Domain=h.example")
	f.Add("=; Max-Age=-1; expires=00:00:00 1 jan 1601")
	f.Fuzz(func(t *testing.T, line string) {
		s := sealer(t, sign.Exact)
		v := visitOf(t, s, must(s.URL("https://h.example/live/m.m3u8", sign.Upstream{Cookies: true})))
		maker.FromContext(v.ctx).Received(must(url.Parse("https://h.example/live/m.m3u8")), http.Header{"Set-Cookie": {line}})
		sent := v.sent("https://h.example/live/1.ts").Get("Cookie")
		require.NotContains(t, sent, ";")
		require.False(t, strings.ContainsAny(sent, "\r\n\x00\x7f"), "%q", sent)
		require.Empty(t, v.sent("https://other.example/live/1.ts").Get("Cookie"))
		again := visitOf(t, s, v.sign(s, "https://h.example/live/v.m3u8"))
		require.Equal(t, sent, again.sent("https://h.example/live/1.ts").Get("Cookie"))
	})
}
