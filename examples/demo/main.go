// Demo is the whole of hlsproxy on one machine: two live origins that loop a small test stream for ever, the library's
// blocks in front of them, and a page that plays the stream, draws the chain with its numbers, and lets one break it: kill
// an origin, expire the link that it plays by, switch the cache off, send in a crowd.
//
//	go run ./examples/demo -viewers 100
//	go run ./examples/demo -ll
//
// The second has the fMP4 in low latency. What to copy is in chain.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

type config struct {
	addr    string
	viewers int
	hlsjs   string
	ll      bool
}

func main() {
	var c config
	log.SetFlags(0)
	log.SetPrefix("demo: ")
	flag.StringVar(&c.addr, "addr", "127.0.0.1:8080", "`HOST:PORT` to listen on")
	flag.IntVar(&c.viewers, "viewers", 0, "simulated viewers, each a player over HTTP")
	flag.StringVar(&c.hlsjs, "hlsjs", "", "`FILE` to serve hls.js from in place of a CDN")
	flag.BoolVar(&c.ll, "ll", false, "low latency: the fMP4 comes in parts of a third of a second")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("what is %q?", flag.Arg(0))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, c); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends, then lets running answers finish.
func run(ctx context.Context, out io.Writer, c config) error {
	if c.viewers < 0 || c.viewers > mostViewers {
		return fmt.Errorf("-viewers: not a number from 0 to %d", mostViewers)
	}
	if c.hlsjs != "" {
		if _, err := os.Stat(c.hlsjs); err != nil {
			return err
		}
	}
	public, err := net.Listen("tcp", c.addr)
	if err != nil {
		return err
	}
	defer public.Close()
	live, err := newLiveOrigin(time.Now, c.ll).handler()
	if err != nil {
		return err
	}
	d, err := newDemo(live)
	if err != nil {
		return err
	}
	front, err := d.site(c.hlsjs, c.ll)
	if err != nil {
		return errors.Join(err, d.close(ctx))
	}

	base := "http://" + reachable(public.Addr())
	fmt.Fprintf(out, "listening on %s\nopen it in a browser, or play %[1]s/hls/live/master.m3u8 (fMP4) or %[1]s/hls/live/ts/master.m3u8 (MPEG-TS)\n", base)
	g, ctx := errgroup.WithContext(ctx)
	serve(ctx, g, public, front, d.close)
	g.Go(func() error { d.meter.run(ctx); return nil })
	g.Go(func() error {
		d.crowd.run(ctx, base+"/hls/live/master.m3u8", c.viewers, seldom(10*time.Second, log.Printf))
		return nil
	})
	return g.Wait()
}

// serve answers until ctx ends. What is being answered then has five seconds, and the origins go last.
func serve(ctx context.Context, g *errgroup.Group, public net.Listener, front http.Handler, last func(context.Context) error) {
	s := newServer(front)
	g.Go(func() error {
		if err := s.Serve(public); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if s.Shutdown(late) != nil {
			s.Close()
		}
		return last(late)
	})
}

func newServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
}

// reachable is the address of a listener as one types it: a listener on all addresses is also on localhost.
func reachable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("localhost", port)
	}
	return a.String()
}
