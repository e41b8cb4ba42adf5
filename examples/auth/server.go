package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

// run prints where it listens and, if it has the backend inside, where that is and a link to play; it serves until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}
	defer ln.Close()
	handlers := map[net.Listener]http.Handler{}
	hint := fmt.Sprintf("play %s/live/PATH?token=TOKEN with a token that %s admits", urlOf(ln), o.ask)
	if o.ask == "" {
		inside, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer inside.Close()
		o.ask = urlOf(inside) + "/ask"
		who := &sessions{base: urlOf(ln)}
		first, err := who.add("the first viewer", o.link)
		if err != nil {
			return fmt.Errorf("-link: %w", err)
		}
		hint = fmt.Sprintf("open %s/ to make sessions and revoke them\nplay %s", urlOf(inside), first.Link)
		if handlers[inside], err = newBackend(who); err != nil {
			return err
		}
	}
	if handlers[ln], err = newHandler(o); err != nil {
		return err
	}
	fmt.Fprintf(out, "listening on %s\n%s\n", urlOf(ln), hint)
	return serve(ctx, handlers)
}

// serve answers until ctx ends or a listener fails, and then gives the answers that are under way five seconds.
func serve(ctx context.Context, handlers map[net.Listener]http.Handler) error {
	g, ctx := errgroup.WithContext(ctx)
	for ln, h := range handlers {
		// No WriteTimeout: it would cut long answers. The proxy renews a deadline for each write instead.
		srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
		g.Go(func() error {
			if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
		g.Go(func() error {
			<-ctx.Done()
			grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if srv.Shutdown(grace) != nil {
				return srv.Close()
			}
			return nil
		})
	}
	return g.Wait()
}

// urlOf is a listener's address as one types it: what listens on all addresses is also on localhost.
func urlOf(ln net.Listener) string {
	at := ln.Addr().(*net.TCPAddr)
	if at.IP.IsUnspecified() {
		return "http://localhost:" + strconv.Itoa(at.Port)
	}
	return "http://" + at.String()
}
