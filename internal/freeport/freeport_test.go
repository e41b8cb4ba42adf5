package freeport_test

import (
	"net"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/freeport"
	"github.com/stretchr/testify/require"
)

func TestAnAddressCanBeListenedOnAgainAndAgain(t *testing.T) {
	addr, err := freeport.Addr()
	require.NoError(t, err)
	require.Len(t, addr, len("127.0.0.1:12345"))
	for range 3 {
		ln, err := net.Listen("tcp", addr)
		require.NoError(t, err)
		other, err := freeport.Addr()
		require.NoError(t, err)
		require.NotEqual(t, addr, other)
		require.NoError(t, ln.Close())
	}
}

func TestNoTwoTestsGetOneAddress(t *testing.T) {
	seen := map[string]bool{}
	for range 2_000 {
		addr, err := freeport.Addr()
		require.NoError(t, err)
		require.False(t, seen[addr], addr)
		seen[addr] = true
	}
}
