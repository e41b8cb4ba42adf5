package tchar_test

import (
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/tchar"
	"github.com/stretchr/testify/require"
)

func TestTokens(t *testing.T) {
	const all = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" // as RFC 9110 lists them
	require.True(t, tchar.IsToken(all))
	require.False(t, tchar.IsToken(""))
	for c := range 256 {
		b := byte(c)
		inToken := strings.IndexByte(all, b) >= 0
		require.Equal(t, inToken, tchar.Is(b), "%q", b)
		require.Equal(t, inToken, tchar.IsToken("x"+string([]byte{b})), "%q", b)
		require.Equal(t, inToken || b == ':' || b == '/', tchar.InStructured(b), "%q", b)
	}
}
