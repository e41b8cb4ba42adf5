// Demo is the whole of hlsproxy on one machine: a live origin that loops a small test stream for ever, the library's
// blocks in front of it, a page that plays the stream, and a chart of what viewers ask for against what reaches the
// origin. With -viewers 100 a crowd of simulated players joins in.
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
	flag.StringVar(&c.addr, "addr", "127.0.0.1:8080", "`address` to listen on; port 0 takes a free one")
	flag.IntVar(&c.viewers, "viewers", 0, "simulated viewers, each a player over HTTP")
	flag.StringVar(&c.hlsjs, "hlsjs", "", "serve hls.js from this `file` in place of a CDN")
	flag.BoolVar(&c.ll, "ll", false, "low latency: the fMP4 comes in parts of a third of a second")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, c); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends, then lets running answers finish.
func run(ctx context.Context, out io.Writer, c config) error {
	if c.hlsjs != "" {
		if _, err := os.Stat(c.hlsjs); err != nil {
			return err
		}
	}
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer upstream.Close()
	public, err := net.Listen("tcp", c.addr)
	if err != nil {
		return err
	}
	defer public.Close()

	live, err := newLiveOrigin(time.Now, c.ll).handler()
	if err != nil {
		return err
	}
	stream, shared, err := newChain("http://" + upstream.Addr().String())
	if err != nil {
		return err
	}
	m := newMeter(shared.Stats)
	front, err := site(stream, m, c.hlsjs)
	if err != nil {
		return err
	}

	base := "http://" + reachable(public.Addr())
	fmt.Fprintf(out, "listening on %s\nopen it in a browser, or play %[1]s/hls/live/master.m3u8 (fMP4) or %[1]s/hls/live/ts/master.m3u8 (MPEG-TS)\n", base)
	g, ctx := errgroup.WithContext(ctx)
	serve(ctx, g, public, front, upstream, m.origin.count(live))
	g.Go(func() error { m.run(ctx); return nil })
	viewers := &crowd{
		master: base + "/hls/live/master.m3u8", size: c.viewers, ramp: 10 * time.Second,
		failed: func(err error) { log.Print("simulated viewer: ", err) },
	}
	g.Go(func() error { viewers.run(ctx); return nil })
	return g.Wait()
}

// serve answers on both listeners until ctx ends. What is being answered then has five seconds, and the origin goes last.
func serve(ctx context.Context, g *errgroup.Group, public net.Listener, front http.Handler, upstream net.Listener, live http.Handler) {
	servers := []*http.Server{newServer(front), newServer(live)}
	for i, ln := range []net.Listener{public, upstream} {
		g.Go(func() error {
			if err := servers[i].Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	g.Go(func() error {
		<-ctx.Done()
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		for _, s := range servers {
			if s.Shutdown(late) != nil {
				s.Close()
			}
		}
		return nil
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
