package main

import (
	"bufio"
	"bytes"
	"net/url"
	"regexp"
	"strings"

	eyevinn "github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
	grafov "github.com/grafov/m3u8"

	"github.com/hlsproxy/hlsproxy/internal/bench/ratio"
	"github.com/hlsproxy/hlsproxy/internal/playlists"
)

// others are ways to do the job with existing packages. None of them keeps what it does not know.
func others(shape playlists.Shape) []ratio.Contender {
	base, err := url.Parse(playlists.Base)
	if err != nil {
		panic(err)
	}
	var out bytes.Buffer
	contenders := []ratio.Contender{
		{Name: "naive net/url", Run: func() { naive(&out, shape.Text, base) }},
		{Name: "hls-m3u8", Run: func() { viaEyevinn(shape.Text, base) }},
		{Name: "grafov/m3u8", Run: func() { viaGrafov(shape.Text, base) }},
	}
	if len(shape.Text) < 500_000 { // its Marshal is quadratic
		contenders = append(contenders, ratio.Contender{Name: "gohlslib", Run: func() { viaGohlslib(shape.Text, base) }})
	}
	return contenders
}

func mapped(ref string, base *url.URL) string {
	u, err := base.Parse(ref)
	if err != nil {
		return ref
	}
	return "/proxy?url=" + url.QueryEscape(u.String())
}

var uriAttribute = regexp.MustCompile(`URI="([^"]*)"`)

// naive is what most programs do: they go line by line and use a regular expression for the attributes.
func naive(out *bytes.Buffer, text []byte, base *url.URL) {
	out.Reset()
	s := bufio.NewScanner(bytes.NewReader(text))
	for s.Scan() {
		line := s.Text()
		switch {
		case line == "":
		case line[0] != '#':
			line = mapped(line, base)
		case strings.Contains(line, `URI="`):
			line = uriAttribute.ReplaceAllStringFunc(line, func(m string) string {
				return `URI="` + mapped(m[len(`URI="`):len(m)-1], base) + `"`
			})
		}
		out.WriteString(line)
		out.WriteByte('\n')
	}
}

func viaEyevinn(text []byte, base *url.URL) {
	p, kind, err := eyevinn.DecodeFrom(bytes.NewReader(text), false)
	if err != nil {
		panic(err)
	}
	if kind == eyevinn.MASTER {
		master := p.(*eyevinn.MasterPlaylist)
		done := map[*eyevinn.Alternative]bool{}
		for _, v := range master.Variants {
			v.URI = mapped(v.URI, base)
			for _, a := range v.Alternatives {
				if !done[a] && a.URI != "" {
					done[a], a.URI = true, mapped(a.URI, base)
				}
			}
		}
		master.ResetCache()
		master.Encode()
		return
	}
	media := p.(*eyevinn.MediaPlaylist)
	if media.Map != nil {
		media.Map.URI = mapped(media.Map.URI, base)
	}
	for _, s := range media.GetAllSegments() {
		s.URI = mapped(s.URI, base)
		for i := range s.Keys {
			s.Keys[i].URI = mapped(s.Keys[i].URI, base)
		}
		if s.Map != nil && s.Map != media.Map {
			s.Map.URI = mapped(s.Map.URI, base)
		}
	}
	for _, part := range media.PartialSegments {
		part.URI = mapped(part.URI, base)
	}
	if media.PreloadHints != nil {
		media.PreloadHints.URI = mapped(media.PreloadHints.URI, base)
	}
	media.ResetCache()
	media.Encode()
}

func viaGrafov(text []byte, base *url.URL) {
	p, kind, err := grafov.DecodeFrom(bytes.NewReader(text), false)
	if err != nil {
		panic(err)
	}
	if kind == grafov.MASTER {
		master := p.(*grafov.MasterPlaylist)
		done := map[*grafov.Alternative]bool{}
		for _, v := range master.Variants {
			v.URI = mapped(v.URI, base)
			for _, a := range v.Alternatives {
				if !done[a] && a.URI != "" {
					done[a], a.URI = true, mapped(a.URI, base)
				}
			}
		}
		master.ResetCache()
		master.Encode()
		return
	}
	media := p.(*grafov.MediaPlaylist)
	for _, s := range media.Segments {
		if s == nil {
			continue
		}
		s.URI = mapped(s.URI, base)
		if s.Key != nil {
			s.Key.URI = mapped(s.Key.URI, base)
		}
		if s.Map != nil {
			s.Map.URI = mapped(s.Map.URI, base)
		}
	}
	media.ResetCache()
	media.Encode()
}

func viaGohlslib(text []byte, base *url.URL) {
	p, err := playlist.Unmarshal(text)
	if err != nil {
		panic(err)
	}
	switch p := p.(type) {
	case *playlist.Media:
		for _, s := range p.Segments {
			s.URI = mapped(s.URI, base)
			if s.Key != nil {
				s.Key.URI = mapped(s.Key.URI, base)
			}
			for _, part := range s.Parts {
				part.URI = mapped(part.URI, base)
			}
		}
	case *playlist.Multivariant:
		for _, v := range p.Variants {
			v.URI = mapped(v.URI, base)
		}
		for _, r := range p.Renditions {
			if r.URI != nil {
				*r.URI = mapped(*r.URI, base)
			}
		}
	}
	if _, err := p.Marshal(); err != nil {
		panic(err)
	}
}
