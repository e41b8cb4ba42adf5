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
