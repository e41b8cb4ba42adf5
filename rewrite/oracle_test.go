package rewrite_test

import (
	"bytes"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/hlsproxy/hlsproxy/internal/playlists"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// samples are playlists of other people: those that come with hls-m3u8.
func samples(t *testing.T) map[string][]byte {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/Eyevinn/hls-m3u8").Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Skip("the go command and the module of the samples are needed")
	}
	files, err := filepath.Glob(filepath.Join(dir, "m3u8", "sample-playlists", "*.m3u8"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all := map[string][]byte{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		all[filepath.Base(f)] = text
	}
	for _, shape := range playlists.All()[:4] {
		all[shape.Name] = shape.Text
	}
	return all
}

// uris are the URIs that hls-m3u8 finds; it passes over some tags.
func uris(t *testing.T, text []byte) (all []string) {
	p, _, err := m3u8.DecodeFrom(bytes.NewReader(text), false)
	require.NoError(t, err)
	add := func(uri string) {
		if uri != "" {
			all = append(all, uri)
		}
	}
	switch p := p.(type) {
	case *m3u8.MasterPlaylist:
		for _, v := range p.Variants {
			add(v.URI)
			for _, a := range v.Alternatives {
				add(a.URI)
			}
		}
		for _, k := range p.SessionKeys {
			add(k.URI)
		}
	case *m3u8.MediaPlaylist:
		for _, s := range p.GetAllSegments() {
			add(s.URI)
			for _, k := range s.Keys {
				add(k.URI)
			}
			if s.Map != nil {
				add(s.Map.URI)
			}
		}
		for _, part := range p.PartialSegments {
			add(part.URI)
		}
		if p.PreloadHints != nil {
			add(p.PreloadHints.URI)
		}
	}
	return all
}

// What an independent parser sees in the result is what it sees in the original, mapped.
func TestAnotherParserAgrees(t *testing.T) {
	at, err := url.Parse(base)
	require.NoError(t, err)
	m := rewrite.Query("/p", "u")
	for name, text := range samples(t) {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, string(text), rewritten(t, &rewrite.Rewriter{Map: identity{}}, string(text), ""))
			requireOnlyURIsChange(t, string(text), base)
			if bytes.Contains(text, []byte("#EXT-X-DEFINE")) || strings.HasPrefix(name, "bad") {
				return
			}
			var want []string
			for _, uri := range uris(t, text) {
				u, err := at.Parse(uri)
				require.NoError(t, err)
				if strings.HasPrefix(u.Scheme, "http") {
					uri = u.String()
				}
				want = append(want, uri)
			}
			var got []string
			for _, uri := range uris(t, []byte(rewritten(t, &rewrite.Rewriter{Map: m}, string(text), base))) {
				if strings.HasPrefix(uri, "/p/") {
					uri = upstreamOf(t, m, uri)
				}
				got = append(got, uri)
			}
			require.Equal(t, want, got)
		})
	}
}
