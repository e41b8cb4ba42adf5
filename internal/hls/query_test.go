package hls_test

import (
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/stretchr/testify/require"
)

func TestReloadOf(t *testing.T) {
	none := hls.Reload{MSN: -1, Part: -1}
	for query, want := range map[string]hls.Reload{
		"":                              none,
		"a=b":                           none,
		"_HLS_msn=12":                   {MSN: 12, Part: -1},
		"a=b&_HLS_msn=12&_HLS_part=3&c": {MSN: 12, Part: 3},
		"_HLS_msn=12&_HLS_skip=YES":     {MSN: 12, Part: -1, Skip: true},
		"_HLS_skip=v2":                  {MSN: -1, Part: -1, Skip: true},
		"_HLS_skip=no":                  none,
		"_HLS_part=3":                   none,
		"_HLS_msn=":                     none,
		"_HLS_msn":                      none,
		"_HLS_msn=x":                    none,
		"_HLS_msn=-1":                   none,
		"_HLS_msn=1.5":                  none,
		"_HLS_msn=1234567890123456789":  none,
		"_HLS_msn=1&_HLS_msn=2":         {MSN: 1, Part: -1},
		"x_HLS_msn=1":                   none,
		"_hls_msn=1":                    none,
		"_HLS_msn=0&_HLS_part=12345678901234567890": {MSN: 0, Part: -1},
	} {
		require.Equal(t, want, hls.ReloadOf(query), query)
		require.Equal(t, want.MSN >= 0, hls.IsBlocking(query), query)
	}
}

func TestIsKnownDirective(t *testing.T) {
	for param, want := range map[string]bool{
		"_HLS_msn=1": true, "_HLS_part=0": true, "_HLS_skip=YES": true, "_HLS_skip=v2": true, "_HLS_pathway=%22a%22": true,
		"_HLS_throughput=5140000": true, "_HLS_primary_id=x": true, "_HLS_start_offset=1.5": true, "_HLS_report=../a.m3u8": true, "_HLS_push=0": true,
		"_HLS_interstitial_id": true,
		"_HLS_msn":             false, "_HLS_msn=": false, "_HLS_msn=x": false, "_HLS_skip=NO": false, "_HLS_other=1": false, "_HLS_": false, "a=1": false, "": false,
		"_HLS_start_offset=": false, "_HLS_pathway=" + strings.Repeat("a", 1025): false,
	} {
		require.Equal(t, want, hls.IsKnownDirective(param), param)
		require.Equal(t, want, hls.IsKnownDirective([]byte(param)), param)
		require.True(t, !want || hls.IsDirective(param), param)
	}
}

func TestIsViewers(t *testing.T) {
	for param, want := range map[string]bool{
		"CMCD": true, "CMCD=br%3D3200": true, "CMCD2=x": false, "cmcd=x": false, "_HLS_throughput=1": true, "_HLS_throughput": true,
		"_HLS_throughputs=1": false, "_HLS_msn=1": false, "": false,
	} {
		require.Equal(t, want, hls.IsViewers(param), param)
	}
	require.True(t, hls.IsCMCD("CMCD="))
	require.False(t, hls.IsCMCD("CMC"))
}

func FuzzReloadOf(f *testing.F) {
	f.Add("_HLS_msn=1&_HLS_part=2&_HLS_skip=YES")
	f.Fuzz(func(t *testing.T, query string) {
		r := hls.ReloadOf(query)
		require.True(t, r.MSN >= -1 && r.Part >= -1 && (r.MSN >= 0 || r.Part < 0))
	})
}
