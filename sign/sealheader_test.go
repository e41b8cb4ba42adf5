package sign_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

func TestSealedHeadersReachTheOriginSide(t *testing.T) {
	for _, scope := range []sign.Scope{sign.Exact, sign.Directory} {
		s := sealer(t, scope)
		sealed := http.Header{"Referer": {"https://site.example/"}, "authorization": {"Bearer secret"}, "Cookie": {"a=1", "b=2"}}
		public := must(s.URL("https://h/a/master.m3u8", sealed))
		require.Equal(t, public, must(s.URL("https://h/a/master.m3u8", sealed)), "the same each time")
		require.NotContains(t, public, "secret")
		require.Equal(t, "https://h/a/master.m3u8", must(open(s, public)))
		require.NotEqual(t, public, string(must(s.AppendPublic(nil, []byte("https://h/a/master.m3u8")))))

		var ctx context.Context
		inner := func(public string) http.Header {
			r := request(public)
			r.Header.Set("Referer", "https://viewer.example/")
			r.Header.Set("Authorization", "Basic viewer")
			r.Header.Set("User-Agent", "player")
			r.Header.Set("Range", "bytes=0-")
			before := r.Header.Clone()
			var got http.Header
			s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got, ctx = r.Header, r.Context() })).ServeHTTP(httptest.NewRecorder(), r)
			require.Equal(t, before, r.Header)
			return got
		}
		want := http.Header{
			"Referer": {"https://site.example/"}, "Authorization": {"Bearer secret"}, "Cookie": {"a=1", "b=2"}, "User-Agent": {"player"}, "Range": {"bytes=0-"},
		}
		require.Equal(t, want, inner(public))

		elsewhere := http.Header{"Referer": {"https://site.example/"}, "User-Agent": {"player"}, "Range": {"bytes=0-"}}
		for _, child := range []string{"https://h/a/1.ts", "https://h/a/2.ts?x=1", "https://H:443/a/3.ts", "https://other/b.m3u8#v=1", "http://h/a/1.ts", "https://h:444/"} {
			want := want
			if !strings.HasPrefix(strings.ToLower(child), "https://h/") && !strings.Contains(child, ":443") {
				want = elsewhere
			}
			inner(public)
			link := string(must(s.Sign(ctx, must(s.AppendPublic(nil, []byte(child))))))
			require.Equal(t, child, must(open(s, link)))
			require.Equal(t, want, inner(link), "children carry them on")
			again := string(must(s.Sign(ctx, []byte(link))))
			require.Equal(t, link, again)
			absolute := string(must(s.Sign(ctx, append([]byte("https://media.example"), link...))))
			require.Equal(t, "https://media.example"+link, absolute)
		}
		plain := string(must(s.AppendPublic(nil, []byte("https://h/a/1.ts"))))
		require.Equal(t, http.Header{"User-Agent": {"player"}, "Range": {"bytes=0-"}}, inner(plain), "the viewer's own stay here")
		require.Equal(t, plain, string(must(s.Sign(ctx, []byte(plain)))))
		require.Equal(t, http.Header{"User-Agent": {"player"}, "Range": {"bytes=0-"}}, inner("/elsewhere"))

		inner(public)
		for _, u := range []string{"x", "/elsewhere/1.ts", "/s/abc/1.ts"} {
			_, err := s.Sign(ctx, []byte(u))
			require.Error(t, err)
		}
	}
}

func TestHeadersThatCannotBeSealed(t *testing.T) {
	s := sealer(t, sign.Exact)
	_, err := s.URL("https://h/a.ts", http.Header{"Host": {"x"}, "Range": {"x"}, "Referer": {"a\r\nX: y"}})
	require.Len(t, strings.Split(err.Error(), "\n"), 3)
	_, err = s.URL("a.ts", nil)
	require.ErrorIs(t, err, sign.ErrURL)
	require.Equal(t, string(must(s.AppendPublic(nil, []byte("https://h/a.ts")))), must(s.URL("https://h/a.ts", nil)))
}
