package sign_test

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

func TestClientPrefix(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, c := range map[string]struct {
		remote    string
		forwarded []string
		want      string
	}{
		"direct":                     {"203.0.113.77:1234", nil, "203.0.113.0/24"},
		"direct IPv6":                {"[2001:db8:1:2::3]:1234", nil, "2001:db8:1::/48"},
		"mapped":                     {"[::ffff:203.0.113.77]:1", nil, "203.0.113.0/24"},
		"zone":                       {"[fe80::1%eth0]:1", nil, "fe80::/48"},
		"a stranger forwards":        {"203.0.113.77:1234", []string{"198.51.100.1"}, "203.0.113.0/24"},
		"a proxy forwards":           {"10.1.1.1:1", []string{"198.51.100.1"}, "198.51.100.0/24"},
		"two proxies":                {"10.1.1.1:1", []string{"198.51.100.1, 10.2.2.2", "fd00::1"}, "198.51.100.0/24"},
		"the client forges the list": {"10.1.1.1:1", []string{"192.0.2.9, 198.51.100.1"}, "198.51.100.0/24"},
		"the client forges proxies":  {"10.1.1.1:1", []string{"192.0.2.9, 10.9.9.9, 198.51.100.1, 10.2.2.2"}, "198.51.100.0/24"},
		"with a port":                {"10.1.1.1:1", []string{"[2001:db8:1:2::3]:99"}, "2001:db8:1::/48"},
		"garbage":                    {"10.1.1.1:1", []string{"192.0.2.9, x"}, "unknown"},
		"an empty member":            {"10.1.1.1:1", []string{"192.0.2.9,"}, "unknown"},
		"the proxy itself":           {"10.1.1.1:1", nil, "10.1.1.0/24"},
		"only proxies":               {"10.1.1.1:1", []string{"10.2.2.2"}, "10.2.2.0/24"},
		"no address":                 {"@", []string{"198.51.100.1"}, "unknown"},
	} {
		r := &http.Request{RemoteAddr: c.remote, Header: http.Header{"X-Forwarded-For": c.forwarded}}
		require.Equal(t, c.want, sign.ClientPrefix(24, 48, trusted...)(r), name)
	}
	r := &http.Request{RemoteAddr: "203.0.113.77:1"}
	require.Equal(t, "203.0.113.77/32", sign.ClientPrefix(-1, 999)(r))
	require.Equal(t, "0.0.0.0/0", sign.ClientPrefix(0, 0)(r))
}

func TestAllOf(t *testing.T) {
	r := &http.Request{RemoteAddr: "203.0.113.77:1", Header: http.Header{"User-Agent": {"player/1"}}}
	require.Equal(t, "14:203.0.113.0/248:player/1", sign.AllOf(sign.ClientPrefix(24, 48), sign.UserAgent)(r))
	fixed := func(s string) func(*http.Request) string { return func(*http.Request) string { return s } }
	require.NotEqual(t, sign.AllOf(fixed("a"), fixed("bc"))(r), sign.AllOf(fixed("ab"), fixed("c"))(r))

	s := signer(t, func(c *sign.Config) { c.Claims = sign.AllOf(sign.ClientPrefix(24, 48), sign.UserAgent) })
	link := must(s.URLFor(r, "/a.ts"))
	got := request(link)
	got.RemoteAddr, got.Header = "203.0.113.9:5", r.Header
	_, err := s.Verify(got)
	require.NoError(t, err)
	got.RemoteAddr = "203.0.112.9:5"
	_, err = s.Verify(got)
	require.ErrorIs(t, err, sign.ErrBadToken)
}

// FuzzClientPrefix checks that the X-Forwarded-For of a stranger changes nothing, and that no field hides a proxy's client.
func FuzzClientPrefix(f *testing.F) {
	for _, s := range []string{"198.51.100.1", "198.51.100.1, 10.2.2.2", ",", "[::1]:9", "::ffff:1.2.3.4", "x, 10.1.1.1", "fe80::1%eth0"} {
		f.Add(s)
	}
	claims := sign.ClientPrefix(24, 48, netip.MustParsePrefix("10.0.0.0/8"))
	f.Fuzz(func(t *testing.T, forwarded string) {
		h := http.Header{"X-Forwarded-For": {forwarded}}
		require.Equal(t, "203.0.113.0/24", claims(&http.Request{RemoteAddr: "203.0.113.77:1", Header: h}))
		behind := claims(&http.Request{RemoteAddr: "10.1.1.1:1", Header: h})
		h["X-Forwarded-For"] = []string{forwarded, "198.51.100.1"}
		require.Equal(t, "198.51.100.0/24", claims(&http.Request{RemoteAddr: "10.1.1.1:1", Header: h}))
		if behind != "unknown" {
			_, err := netip.ParsePrefix(behind)
			require.NoError(t, err)
		}
	})
}
