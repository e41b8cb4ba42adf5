// Demo is the whole of hlsproxy on one machine: two live origins that loop a small test stream for ever, the library's blocks
// in front of them, and a page. The page plays the stream, draws the chain with its numbers, and can break it: kill an origin,
// expire its own link, switch the cache off, send in a crowd.
//
//	go run ./examples/demo -viewers 100
//	go run ./examples/demo -ll
//	go run ./examples/demo -ahead 2
//
// The second command plays the fMP4 in low latency, and the third fetches segments before viewers ask for them. Copy chain.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"golang.org/x/sync/errgroup"
)

type options struct {
	viewers int
	hlsjs   string
	ll      bool
	ahead   int
}

func parse(args []string) (o options, ln serve.Listener, err error) {
	flags := serve.NewFlags("demo")
	flags.IntVar(&o.viewers, "viewers", 25, "simulated viewers, each a player over HTTP")
	flags.StringVar(&o.hlsjs, "hlsjs", "", "`FILE` to serve hls.js from in place of a CDN")
	flags.BoolVar(&o.ll, "ll", false, "low latency: the fMP4 comes in parts of a third of a second")
	flags.IntVar(&o.ahead, "ahead", 0, "how many next segments or parts the cache fetches before they are asked for")
	if err := flags.Parse(args); err != nil {
		return o, ln, err
	}
	if o.viewers < 0 || o.viewers > mostViewers {
		return o, ln, fmt.Errorf("-viewers %d: give a number from 0 to %d", o.viewers, mostViewers)
	}
	if o.hlsjs != "" {
		if _, err := os.Stat(o.hlsjs); err != nil {
			return o, ln, fmt.Errorf("-hlsjs %q: give the path of hls.min.js: %w", o.hlsjs, err)
		}
	}
	ln, err = flags.Listen()
	return o, ln, err
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("demo: ")
	serve.Main(run)
}

// run serves until ctx ends, then lets running answers finish. The origins go last.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, ln, err := parse(args)
	if err != nil {
		return err
	}
	defer ln.Close()
	stream := newLiveOrigin(time.Now, o.ll)
	live, err := stream.handler()
	if err != nil {
		return err
	}
	d, err := newDemo(live)
	if err != nil {
		return err
	}
	d.up.shared.Ahead = o.ahead
	defer func() {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, d.close(late))
	}()
	front, err := d.site(o.hlsjs, stream)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "listening on %s\nopen it in a browser, or play %[1]s/hls/live/master.m3u8 (fMP4) or %[1]s/hls/live/ts/master.m3u8 (MPEG-TS)\n", ln.URL())
	if o.hlsjs == "" {
		fmt.Fprintln(out, "browsers without HLS of their own, such as Firefox, load hls.js from a CDN, or do with a small player of the page; -hlsjs FILE serves your copy")
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serve.Run(ctx, ln, front) })
	g.Go(func() error { d.meter.run(ctx); return nil })
	g.Go(func() error {
		d.crowd.run(ctx, ln.URL()+"/hls/live/master.m3u8", o.viewers, seldom(10*time.Second, log.Printf))
		return nil
	})
	return g.Wait()
}
