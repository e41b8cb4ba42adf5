package main

import (
	"context"

	"github.com/hlsproxy/hlsproxy/internal/bench/ratio"
	"github.com/hlsproxy/hlsproxy/internal/playlists"
	"github.com/hlsproxy/hlsproxy/rewrite"
)

// turns rewrites the playlists of many streams one after another, so that nothing learned from one helps the next. One run is
// one playlist.
func turns(name string, shape playlists.Shape, m rewrite.Mapper) ratio.Contender {
	rw := &rewrite.Rewriter{Map: m}
	bases := []string{playlists.Base, "https://cdn.example.com/live/channel2/720p/index.m3u8"}
	var dst []byte
	turn := 0
	return ratio.Contender{Name: name, Run: func() {
		turn++
		var err error
		if dst, err = rw.Append(context.Background(), dst[:0], shape.Text, bases[turn%len(bases)]); err != nil {
			panic(err)
		}
	}}
}
