package sign_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

// What a URL gets does not depend on the URLs that were signed before it.
func TestALinkIsTheSameWhateverCameBefore(t *testing.T) {
	rows := map[string][]string{
		"segments":            {"/a/s1.ts?t=01", "/a/s2.ts?t=99", "/a/s9.ts?t=00", "/a/s10.ts?t=1"},
		"no query":            {"/a/seg-1.ts", "/a/seg-2.ts", "/b/seg-2.ts", "/a/seg-3.ts"},
		"short":               {"/1", "/2", "/a", "/", "/3?"},
		"hosts":               {"https://h1/a/1.ts?x=1&y=2", "https://h2/a/2.ts?x=1&y=3", "http://h2/aa/2.ts?x=1&y=3", "https://h2/a/2.ts?x=1#y=3"},
		"another parting":     {"/a/1?2/3.ts", "/a/1/2?3.ts", "/a/1/2/3?ts", "/a/1/2/3&ts"},
		"names for digits":    {"/a.ts?1=1", "/a.ts?_HLS_msn=1", "/a.ts?_HLS_msn=2", "/a.ts?CMCD=11111", "/a.ts?hpt=111111"},
		"a second parameter":  {"/a.ts?x=1&1=1", "/a.ts?x=1&2=1", "/a.ts?x=1&_HLS_msn=2", "/a.ts?x=1&C=1", "/a.ts?&&x=1&"},
		"the sign of renewal": {"/a/1.m3u8", "/a/1.m3u9", "/a/2.m3u8", "/a/1.ts", "/a/2.ts?x=/1.m3u8", "/a/3.ts?x=/1.m3u8"},
		"kept query":          {"/a.ts?x=1&_=1", "/a.ts?x=2&_=1", "/a.ts?x=2&_=2"},
		"a long one":          {"/" + strings.Repeat("a/", 200) + "1.ts?x=1", "/" + strings.Repeat("a/", 200) + "2.ts?x=2"},
	}
	g := sign.Grant{Expires: time.Now().Add(time.Hour).Truncate(time.Second)}
	renewed := g
	renewed.Until = g.Expires.Add(time.Hour)
	for name, row := range rows {
		for _, c := range []struct {
			config func(*sign.Config)
			grant  sign.Grant
		}{
			{nil, g},
			{nil, renewed},
			{func(c *sign.Config) { c.Param = "2x" }, g},
			{func(c *sign.Config) { c.Ignore = []string{"x"} }, g},
		} {
			t.Run(name, func(t *testing.T) {
				s := signer(t, c.config)
				ctx := sign.NewContext(t.Context(), c.grant)
				for range 2 {
					for _, u := range row {
						want, err := signer(t, c.config).Sign(sign.NewContext(t.Context(), c.grant), []byte(u))
						require.NoError(t, err)
						got, err := s.Sign(ctx, []byte(u))
						require.NoError(t, err)
						require.Equal(t, string(want), string(got))
						_, err = s.Verify(httptest.NewRequest("GET", strings.Split(string(got), "#")[0], nil))
						require.NoError(t, err, string(got))
					}
				}
			})
		}
	}
	s := signer(t, func(c *sign.Config) { c.Param = "2x" })
	ctx := sign.NewContext(t.Context(), g)
	for _, u := range []string{"/a.ts?1x=1", "/a.ts?2x=1", "/a.ts?3x=1"} {
		got := must(s.Sign(ctx, []byte(u)))
		require.Equal(t, string(must(signer(t, func(c *sign.Config) { c.Param = "2x" }).Sign(sign.NewContext(t.Context(), g), []byte(u)))), string(got))
	}
}

// FuzzSignInARow signs two URLs in a row, and the second one alone.
func FuzzSignInARow(f *testing.F) {
	f.Add("/a/s1.ts?t=01", "/a/s2.ts?t=99")
	f.Add("/a/1?2/3.ts", "/a/1/2?3.ts")
	f.Add("https://h/a1.ts?x=1&1=2", "https://h/a1.ts?x=1&_=2")
	f.Add("/12345678", "/1234567?")
	g := sign.Grant{Expires: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
	row, alone := signer(f, nil), signer(f, nil)
	f.Fuzz(func(t *testing.T, first, second string) {
		ctx := sign.NewContext(t.Context(), g)
		_, _ = row.Sign(ctx, []byte(first))
		got, err := row.Sign(ctx, []byte(second))
		want, wantErr := alone.Sign(sign.NewContext(t.Context(), g), []byte(second))
		require.Equal(t, wantErr, err)
		require.Equal(t, string(want), string(got))
	})
}
