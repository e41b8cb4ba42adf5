package main

import (
	"bytes"
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
	grafov "github.com/grafov/m3u8"

	"github.com/hlsproxy/hlsproxy/internal/playlists"
	"github.com/hlsproxy/hlsproxy/rewrite"
)

// What other parsers find in a rewritten playlist is what they find in the playlist, resolved by net/url and mapped.
func TestOtherParsersFindTheSameURIs(t *testing.T) {
	base, err := url.Parse(playlists.Base)
	if err != nil {
		t.Fatal(err)
	}
	m := rewrite.Query("/proxy", "url")
	found := map[string]int{}
	for name, text := range samples(t) {
		out, err := (&rewrite.Rewriter{Map: m}).Append(context.Background(), nil, text, playlists.Base)
		if err != nil {
			t.Fatal(name, err)
		}
		for parser, uris := range map[string]func([]byte) []string{"grafov": grafovURIs, "gohlslib": gohlslibURIs} {
			before, after := uris(text), uris(out)
			found[parser] += len(before)
			if len(before) != len(after) {
				t.Errorf("%s: %s finds %d URIs, and %d when it is rewritten", name, parser, len(before), len(after))
				continue
			}
			for i, ref := range before {
				if want := public(t, m, base, ref); !same(after[i], want) {
					t.Errorf("%s: %s finds %q for %q, not %q", name, parser, after[i], ref, want)
				}
			}
		}
	}
	if found["grafov"] < 1000 || found["gohlslib"] < 1000 {
		t.Error("the parsers find next to nothing: ", found)
	}
}

// same compares a URI with what it should be. Query gives a name that players refuse an extension by what it leads to.
func same(got, want string) bool {
	name, query, _ := strings.Cut(got, "?")
	wantName, wantQuery, _ := strings.Cut(want, "?")
	ext, ok := strings.CutPrefix(name, wantName)
	return ok && query == wantQuery && slices.Contains([]string{"", ".ts", ".m4s", ".mp4", ".key", ".m3u8"}, ext)
}

// public is what a reference becomes, but for its extension.
func public(t *testing.T, m rewrite.Mapper, base *url.URL, ref string) string {
	u, err := base.Parse(ref)
	if err != nil {
		t.Fatal(err)
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return ref
	}
	out, err := m.AppendPublic(nil, []byte(u.String()))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// samples are the playlists that come with grafov/m3u8, and our own.
func samples(t *testing.T) map[string][]byte {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/grafov/m3u8").Output()
	if err != nil {
		t.Skip("the go command is needed to find the samples")
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "sample-playlists", "*.m3u8"))
	if err != nil || len(files) == 0 {
		t.Fatal("no samples: ", err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		if all[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	for _, shape := range playlists.All()[:4] {
		all[shape.Name] = shape.Text
	}
	return all
}

// grafovURIs is nil for what the parser refuses.
func grafovURIs(text []byte) (all []string) {
	add := func(uri string) {
		if uri != "" {
			all = append(all, uri)
		}
	}
	p, _, err := grafov.DecodeFrom(bytes.NewReader(text), false)
	if err != nil {
		return nil
	}
	switch p := p.(type) {
	case *grafov.MasterPlaylist:
		for _, v := range p.Variants {
			add(v.URI)
			for _, a := range v.Alternatives {
				add(a.URI)
			}
		}
	case *grafov.MediaPlaylist:
		for _, s := range p.Segments {
			if s == nil {
				continue
			}
			add(s.URI)
			if s.Key != nil {
				add(s.Key.URI)
			}
			if s.Map != nil {
				add(s.Map.URI)
			}
		}
	}
	return all
}

// gohlslibURIs is nil for what the parser refuses.
func gohlslibURIs(text []byte) (all []string) {
	p, err := playlist.Unmarshal(text)
	if err != nil {
		return nil
	}
	switch p := p.(type) {
	case *playlist.Media:
		if p.Map != nil {
			all = append(all, p.Map.URI)
		}
		for _, s := range p.Segments {
			all = append(all, s.URI)
			if s.Key != nil && s.Key.URI != "" {
				all = append(all, s.Key.URI)
			}
			for _, part := range s.Parts {
				all = append(all, part.URI)
			}
		}
		for _, part := range p.Parts {
			all = append(all, part.URI)
		}
		if p.PreloadHint != nil {
			all = append(all, p.PreloadHint.URI)
		}
	case *playlist.Multivariant:
		for _, v := range p.Variants {
			all = append(all, v.URI)
		}
		for _, r := range p.Renditions {
			if r.URI != nil {
				all = append(all, *r.URI)
			}
		}
	}
	return all
}
