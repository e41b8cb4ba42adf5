//go:build !race

package sign_test

import (
	"testing"

	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

// Under the race detector a sync.Pool forgets at random.
func TestSigningDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 512)
	for name, s := range map[string]*sign.Signer{"exact": signer(t, nil), "directory": signer(t, directory)} {
		ctx := admitted(t, s, must(s.URL("/proxy/master.m3u8")))
		for _, u := range []string{benchURL, "/proxy/seg1.ts", "https://h/proxy/a/seg1.ts?x"} {
			require.Zero(t, testing.AllocsPerRun(200, func() { must(s.Sign(ctx, append(buf[:0], u...))) }), "%s %s", name, u)
		}
	}
}

func TestSealingDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 512)
	for _, u := range []string{"https://cdn.example/a/seg1.ts", "https://cdn.example/a/seg1.ts?x=1"} {
		for _, scope := range []sign.Scope{sign.Exact, sign.Directory} {
			s, upstream := sealer(t, scope), []byte(u)
			require.Zero(t, testing.AllocsPerRun(200, func() { must(s.AppendPublic(buf, upstream)) }), u)
		}
	}
}
