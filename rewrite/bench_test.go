package rewrite_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/playlists"
	"github.com/hlsproxy/hlsproxy/rewrite"
)

var sink int

// BenchmarkAppend rewrites each shape of playlist with each Mapper into a buffer that is reused. "scan" is the floor: it
// only looks for the line ends.
func BenchmarkAppend(b *testing.B) {
	prefix, err := rewrite.Prefix("/live/", "https://cdn.example.com/live/")
	if err != nil {
		b.Fatal(err)
	}
	host, err := rewrite.HostPath("/x/")
	if err != nil {
		b.Fatal(err)
	}
	query := rewrite.Query("/proxy", "url")
	for _, shape := range playlists.All() {
		b.Run(shape.Name+"/scan", func(b *testing.B) {
			b.SetBytes(int64(len(shape.Text)))
			for b.Loop() {
				for rest := shape.Text; len(rest) > 0; sink++ {
					n := bytes.IndexByte(rest, '\n')
					if n < 0 {
						break
					}
					rest = rest[n+1:]
				}
			}
		})
		for _, m := range []struct {
			name string
			rewrite.Mapper
		}{{"Query", query}, {"Prefix", prefix}, {"HostPath", host}, {"Query, long way", hidden{query}}} {
			b.Run(shape.Name+"/"+m.name, func(b *testing.B) {
				rw := &rewrite.Rewriter{Map: m.Mapper}
				b.SetBytes(int64(len(shape.Text)))
				b.ReportAllocs()
				var dst []byte
				for b.Loop() {
					dst, _ = rw.Append(context.Background(), dst[:0], shape.Text, playlists.Base)
				}
				sink += len(dst)
			})
		}
	}
}

// BenchmarkWindow cuts 500 segments to 6, next to rewriting 50: one playlist for many viewers, one with another end each time,
// and one that moves on by a segment.
func BenchmarkWindow(b *testing.B) {
	inf := []byte("#EXTINF:")
	parts := bytes.SplitAfter(playlists.VOD(600).Text, inf)
	moving := make([][]byte, 90)
	for i := range moving {
		head := bytes.Replace(parts[0], []byte("VOD\n"), fmt.Appendf(nil, "EVENT\n#EXT-X-MEDIA-SEQUENCE:%d\n", 100+i), 1)
		moving[i] = bytes.TrimSuffix(append(head, bytes.Join(parts[1+i:501+i], nil)...), inf)
	}
	text := playlists.VOD(500).Text
	last := bytes.LastIndexByte(text, '-') + 1
	fifty, next := playlists.VOD(50).Text, 0
	six := rewrite.Window{Segments: 6}
	for _, c := range []struct {
		name   string
		window rewrite.Window
		text   func() []byte
	}{
		{"500 to 6", six, func() []byte { return text }},
		{"500 to 6, another end each time", six, func() []byte { text[last] = '0' + (text[last]-'0'+1)%10; return text }},
		{"500 to 6, moving on", six, func() []byte { next = (next + 1) % len(moving); return moving[next] }},
		{"50", rewrite.Window{}, func() []byte { return fifty }},
	} {
		b.Run(c.name, func(b *testing.B) {
			rw := &rewrite.Rewriter{Map: rewrite.Query("/proxy", "url"), Window: c.window}
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				dst, _ = rw.Append(context.Background(), dst[:0], c.text(), playlists.Base)
			}
			sink += len(dst)
		})
	}
}
