package wire_test

import (
	"net/url"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/wire"
	"github.com/stretchr/testify/require"
)

func TestPorts(t *testing.T) {
	for in, want := range map[string]uint16{"1": 1, "80": 80, "8080": 8080, "65535": 65535} {
		port, ok := wire.ParsePort(in)
		require.True(t, ok, in)
		require.Equal(t, want, port)
	}
	for _, in := range []string{"", "0", "00", "080", "+80", "-80", " 80", "80 ", "8_0", "0x50", "65536", "99999999999999999999", "http"} {
		_, ok := wire.ParsePort(in)
		require.False(t, ok, "%q", in)
	}
	require.Equal(t, "80", wire.DefaultPort("http"))
	require.Equal(t, "443", wire.DefaultPort("https"))
	require.Empty(t, wire.DefaultPort("ftp"))
}

func TestHostsThatAreNumbers(t *testing.T) {
	for host, want := range map[string]bool{
		"127.1": true, "1": true, "a.0x7f": true, "a.0x": true, "2130706433": true,
		"a.example": false, "1.a": false, "0x7f.x": false, "a.0xg": false, "a.7f": false,
	} {
		require.Equal(t, want, wire.EndsInNumber(host), host)
	}
}

func TestHostsWithoutTheirDefaultPort(t *testing.T) {
	for _, c := range [][3]string{
		{"http", "O:80", "o"}, {"https", "o:443", "o"}, {"http", "o:443", "o:443"}, {"http", "o:8080", "o:8080"}, {"http", "o80", "o80"},
		{"ftp", "o:80", "o:80"}, {"http", "[::80]", "[::80]"}, {"http", "[::1]:80", "[::1]"},
		{"http", "o:", "o"}, {"https", "[::1]:", "[::1]"}, {"http", "o:080", "o:080"}, {"http", "o:800", "o:800"}, {"http", "", ""},
	} {
		require.Equal(t, c[2], wire.Host(c[0], c[1]), "%s %s", c[0], c[1])
	}
}

func TestOrigin(t *testing.T) {
	for in, want := range map[string]string{
		"http://o/a?b#c":        "http://o",
		"HTTP://O:80/":          "http://o",
		"http://o:443/":         "http://o:443",
		"https://user@O:443/":   "https://o",
		"https://o:8443/":       "https://o:8443",
		"http://[2001:DB8::1]/": "http://[2001:db8::1]",
	} {
		u, err := url.Parse(in)
		require.NoError(t, err)
		require.Equal(t, want, wire.Origin(u), in)
		for other, same := range map[string]string{"http://o/x": "http://o", "https://O:443": "https://o", "https://o:/": "https://o", "https://o:8443/y": "https://o:8443"} {
			v, err := url.Parse(other)
			require.NoError(t, err)
			require.Equal(t, want == same, wire.SameOrigin(u, v), "%s %s", in, other)
		}
	}
}
