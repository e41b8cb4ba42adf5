package rewrite_test

import (
	"bytes"
	"context"
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

// BenchmarkWindow cuts 500 segments to 6, next to rewriting 50: one playlist for many viewers, and a new one each time.
func BenchmarkWindow(b *testing.B) {
	for _, c := range []struct {
		name     string
		segments int
		window   rewrite.Window
		fresh    bool
	}{
		{"500 to 6", 500, rewrite.Window{Segments: 6}, false}, {"500 to 6, new each time", 500, rewrite.Window{Segments: 6}, true},
		{"50", 50, rewrite.Window{}, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			text := playlists.VOD(c.segments).Text
			rw := &rewrite.Rewriter{Map: rewrite.Query("/proxy", "url"), Window: c.window}
			last := bytes.LastIndexByte(text, '-') + 1
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				if c.fresh {
					text[last] = '0' + (text[last]-'0'+1)%10
				}
				dst, _ = rw.Append(context.Background(), dst[:0], text, playlists.Base)
			}
			sink += len(dst)
		})
	}
}
