// Command rewrite measures how long rewriting takes, compared with a scan for line ends, which is the floor, and with other
// ways to do the same. All numbers are medians of interleaved rounds. Only their ratios have a meaning.
//
//	go run ./rewrite [-rounds 9] [-time 100ms] [-shape live]
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/ratio"
	"github.com/hlsproxy/hlsproxy/internal/playlists"
	"github.com/hlsproxy/hlsproxy/rewrite"
)

func main() {
	rounds := flag.Int("rounds", 9, "rounds")
	round := flag.Duration("time", 60*time.Millisecond, "time of a round for one contender")
	only := flag.String("shape", "", "only this shape")
	ours := flag.Bool("ours", false, "leave the other libraries out")
	flag.Parse()
	runtime.GOMAXPROCS(1)
	for _, shape := range playlists.All() {
		if *only != "" && *only != shape.Name {
			continue
		}
		fmt.Printf("%s: %d bytes, %d URIs\n", shape.Name, len(shape.Text), shape.URIs)
		contenders := own(shape)
		if !*ours {
			contenders = append(contenders, others(shape)...)
		}
		ratio.Print(os.Stdout, ratio.Compare(*rounds, *round, contenders...), "scan", "Query")
	}
}

// own are the floor and this library.
func own(shape playlists.Shape) []ratio.Contender {
	prefix, err := rewrite.Prefix("/live/", "https://cdn.example.com/live/")
	if err != nil {
		panic(err)
	}
	return []ratio.Contender{
		{Name: "scan", Run: func() { scan(shape.Text) }},
		appended("Query", shape, rewrite.Query("/proxy", "url"), true),
		appended("Query, fresh buffer", shape, rewrite.Query("/proxy", "url"), false),
		turns("Query, two in turns", shape, rewrite.Query("/proxy", "url")),
		appended("Prefix", shape, prefix, true),
		turns("Prefix, two in turns", shape, prefix),
	}
}

func appended(name string, shape playlists.Shape, m rewrite.Mapper, reuse bool) ratio.Contender {
	rw := &rewrite.Rewriter{Map: m}
	var dst []byte
	return ratio.Contender{Name: name, Run: func() {
		if !reuse {
			dst = make([]byte, 0, 2*len(shape.Text)+512)
		}
		var err error
		if dst, err = rw.Append(context.Background(), dst[:0], shape.Text, playlists.Base); err != nil {
			panic(err)
		}
	}}
}

// scan returns the number of lines, so that the compiler cannot drop it.
func scan(text []byte) (lines int) {
	for len(text) > 0 {
		n := bytes.IndexByte(text, '\n')
		if n < 0 {
			break
		}
		lines++
		text = text[n+1:]
	}
	return lines
}
