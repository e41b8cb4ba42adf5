package sign_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzSignAfterAnother checks that the fast path for a URL beside the one before has the result of the slow path.
func FuzzSignAfterAnother(f *testing.F) {
	for _, name := range []string{
		"2.ts", "v/2.ts?x=1,2", "?", "2.ts?hpt=x", "2.ts?a&hpt", "2.ts?hptx=1", ".2.ts", "v/../2.ts", "v//2.ts", "%2e./2.ts", "2.ts#f", "2.ts?x#f?y", "a;b", "../c/3.ts",
	} {
		f.Add(name)
	}
	s := signer(f, directory)
	entry := must(s.URL("/live/a/master.m3u8"))
	f.Fuzz(func(t *testing.T, name string) {
		first, later := admitted(t, s, entry), admitted(t, s, entry)
		child(t, s, later, "/live/a/1.ts")
		u := "/live/a/" + name
		want, wantErr := s.Sign(first, []byte(u))
		got, gotErr := s.Sign(later, []byte(u))
		require.Equal(t, string(want), string(got))
		require.Equal(t, wantErr, gotErr)
	})
}
