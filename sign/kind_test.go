package sign_test

import (
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

func sealedAs(t testing.TB, s *sign.Sealer, upstream, ext string) string {
	t.Helper()
	public, err := s.AppendPublicOf([]byte("X"), []byte(upstream), "Segment", ext)
	require.NoError(t, err)
	return string(public[1:])
}

func TestSealedNamesFitWhatTheyLeadTo(t *testing.T) {
	for _, scope := range []sign.Scope{sign.Exact, sign.Directory} {
		s := sealer(t, scope)
		for _, c := range []struct{ upstream, ext, name string }{
			{"https://h/d/seg-1.jpg", "ts", "seg-1.jpg.ts"},
			{"https://h/d/Frag-1-v1-a1", "m4s", "Frag-1-v1-a1.m4s"},
			{"https://h/play/1", "ts", "1.ts"},
			{"https://h/d/a.css?t=1", "ts", "a.css.ts"},
			{"https://h/", "m3u8", "index.m3u8"},
			{"https://h/d/key.php?id=1", "key", "key.php.key"},
			{"https://h/d/k.bin", "key", "k.bin"},
			{"https://h/d/a.ts", "ts", "a.ts"},
			{"https://h/d/a.mp4?x", "ts", "a.mp4"},
			{"https://h/d/a.m3u8", "m3u8", "a.m3u8"},
			{"https://h/d/a", "", "a"},
			{"https://h/d/a", "t/s", "a"},
			{"https://h/d/a", strings.Repeat("x", 10), "a"},
		} {
			s.AppendPublic(nil, []byte("https://h/d/warm.ts")) // the directory that was sealed last
			public := sealedAs(t, s, c.upstream, c.ext)
			require.Equal(t, public, sealedAs(t, sealer(t, scope), c.upstream, c.ext), "the same from another process")
			require.Equal(t, c.name, public[strings.LastIndexByte(public, '/')+1:])
			require.Equal(t, c.upstream, must(open(s, public)))
			if !strings.HasSuffix(c.name, "."+c.ext) || strings.HasSuffix(c.upstream, c.ext) || c.ext == "" {
				continue
			}
			for _, other := range []string{strings.TrimSuffix(public, "."+c.ext), public + "." + c.ext, strings.TrimSuffix(public, c.ext) + "mp4", public[:len(public)-len(c.name)]} {
				_, err := open(s, other)
				require.ErrorIs(t, err, sign.ErrBadToken, "%q is a second name", other)
			}
		}
	}
}

// Of all that a playlist names, only playlists get the directives of players.
func TestDirectivesGoByTheKind(t *testing.T) {
	s := sealer(t, sign.Exact)
	for _, c := range []struct{ upstream, ext, want string }{
		{"https://h/a.jpg", "m3u8", "https://h/a.jpg?_HLS_msn=3"},
		{"https://h/a", "m3u8", "https://h/a?_HLS_msn=3"},
		{"https://h/a", "ts", "https://h/a"},
		{"https://h/a", "key", "https://h/a"},
	} {
		require.Equal(t, c.want, must(open(s, sealedAs(t, s, c.upstream, c.ext)+"?_HLS_msn=3")))
	}
}

// The name is the same if fields of the link's maker are sealed in.
func TestFieldsAndNames(t *testing.T) {
	s := sealer(t, sign.Exact)
	entry := must(s.URL("https://h/a.m3u8", sign.Upstream{Header: map[string][]string{"Referer": {"https://r/"}}}))
	ctx := visitOf(t, s, entry).ctx
	public := must(s.Sign(ctx, []byte(sealedAs(t, s, "https://h/seg-1.jpg", "ts"))))
	require.True(t, strings.HasSuffix(string(public), "/seg-1.jpg.ts"))
	require.Equal(t, "https://h/seg-1.jpg", must(open(s, string(public))))
}

func FuzzSealedKinds(f *testing.F) {
	for _, u := range append(upstreamURLs, "https://h/seg-1.jpg", "https://u:p@h/play/1") {
		f.Add(u, "ts")
	}
	exact, dir := sealer(f, sign.Exact), sealer(f, sign.Directory)
	f.Fuzz(func(t *testing.T, u, ext string) {
		for _, s := range []*sign.Sealer{exact, dir} {
			public, err := s.AppendPublicOf(nil, []byte(u), "Segment", ext)
			if err != nil {
				require.ErrorIs(t, err, sign.ErrURL)
				continue
			}
			plain := must(s.AppendPublic(nil, []byte(u)))
			require.Equal(t, must(open(s, string(plain))), must(open(s, string(public))))
		}
	})
}
