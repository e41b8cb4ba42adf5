package rewrite_test

import (
	"bytes"
	"context"
	"strconv"
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
	text := playlists.VOD(500).Text
	last := bytes.LastIndexByte(text, '-') + 1
	fifty := playlists.VOD(50).Text
	six := rewrite.Window{Segments: 6}
	for _, c := range []struct {
		name   string
		window rewrite.Window
		text   func() []byte
	}{
		{"500 to 6", six, func() []byte { return text }},
		{"500 to 6, another end each time", six, func() []byte { text[last] = '0' + (text[last]-'0'+1)%10; return text }},
		{"500 to 6, moving on", six, movingOn(500)},
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

// movingOn returns the reloads of a live playlist. They are in one piece of memory, where each has its head instead of segments
// that are lost: a proxy rewrites what it has just read, so it is in the processor's cache.
func movingOn(segments int) func() []byte {
	const reloads = 1000
	inf := []byte("#EXTINF:")
	parts := bytes.SplitAfter(playlists.VOD(segments+reloads).Text, inf)
	head := bytes.TrimSuffix(bytes.Replace(parts[0], []byte("VOD\n"), []byte("EVENT\n#EXT-X-MEDIA-SEQUENCE:1000000\n"), 1), inf)
	number := bytes.Index(head, []byte("1000000"))
	text := make([]byte, len(head), len(head)*segments)
	begins := make([]int, 0, len(parts)) // of the segments, with the lines before them
	for _, part := range parts[1:] {
		text = append(text, inf...)
		begins = append(begins, len(text)-len(inf))
		text = append(text, bytes.TrimSuffix(part, inf)...)
	}
	whole, lost := bytes.Clone(text), 0
	return func() []byte {
		if lost++; lost == reloads {
			copy(text, whole)
			lost = 0
		}
		at := begins[lost] - len(head)
		copy(text[at:], head)
		strconv.AppendInt(text[at+number:at+number], int64(1000000+lost), 10)
		return text[at:begins[lost+segments]]
	}
}
