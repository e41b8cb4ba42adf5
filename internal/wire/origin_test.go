package wire_test

import (
	"net/url"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/wire"
	"github.com/stretchr/testify/require"
)

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
	}
}
