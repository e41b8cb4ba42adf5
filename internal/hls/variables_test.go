package hls_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/stretchr/testify/require"
)

func TestCarriesVariables(t *testing.T) {
	for query, want := range map[string]bool{
		"": false, "a=b": false, "hls": false, "x=hls-define:a=b": true, "hls-define%3Aa=b": true, "%2523hls-define:a=b": true,
		"%68ls-define": true, "hls%2Ddefine": true, "hls%252ddefine": true, "%2568ls-define": true, "hls_define": false, "a=%": false, "a=%6": false,
		"a=%zz%25": false, "a=%2f%3F": false,
	} {
		require.Equal(t, want, hls.CarriesVariables([]byte(query)), query)
	}
	query := "hls-define"
	for layers := range 20 {
		require.True(t, hls.CarriesVariables([]byte(query)), "%d layers", layers)
		query = strings.ReplaceAll(url.QueryEscape(query), "-", "%2D")
	}
}

// Nothing has been verified when the query of a request is looked at. This would take minutes if each layer of escapes counted.
func TestAQueryOfEscapesCostsLittle(t *testing.T) {
	require.True(t, hls.CarriesVariables([]byte("%"+strings.Repeat("25", 1<<19))), "it may be anything")
	require.True(t, hls.CarriesVariables([]byte("%"+strings.Repeat("25", 1<<19)+"68ls-define")))
	require.False(t, hls.CarriesVariables([]byte(strings.Repeat("%25", 1<<18))), "one layer")
}
