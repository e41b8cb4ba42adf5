package hop_test

import (
	"net/http"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/hop"
	"github.com/stretchr/testify/require"
)

func TestFieldsOfOneConnection(t *testing.T) {
	for name, is := range map[string]bool{"Connection": true, "Te": true, "Transfer-Encoding": true, "Range": false, "Content-Length": false, "": false} {
		require.Equal(t, is, hop.Is(name), name)
	}
	require.Empty(t, hop.Named(http.Header{}))
	require.Equal(t, []string{"Close", "X-A", "", "Range"}, hop.Named(http.Header{"Connection": {"close, x-a ,", "RANGE"}}))
}
