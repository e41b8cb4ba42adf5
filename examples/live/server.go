package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// run prints where it listens and a link for each path that was asked for, and serves until ctx ends.
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
	base := urlOf(ln)
	self := ln.Addr().(*net.TCPAddr)
	if o.public == "" && self.IP.IsLoopback() {
		o.public = base
	}
	urls, err := newLinks(o)
	if err != nil {
		return err
	}
	h, err := newHandler(o, urls, self.AddrPort())
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "listening on", base)
	for _, path := range o.links {
		link, err := urls.to(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "play %s%s\n or open %[1]s/#%s\n", base, link)
	}
	return serve(ctx, ln, h)
}

// serve answers until ctx ends, and then gives the answers that are under way five seconds.
func serve(ctx context.Context, ln net.Listener, h http.Handler) error {
	// No WriteTimeout: it would cut long answers. The proxy renews a deadline for each write instead.
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		return srv.Close()
	}
	return nil
}

// urlOf is a listener's address as one types it: what listens on all addresses is also on localhost.
func urlOf(ln net.Listener) string {
	at := ln.Addr().(*net.TCPAddr)
	if at.IP.IsUnspecified() {
		return "http://localhost:" + strconv.Itoa(at.Port)
	}
	return "http://" + at.String()
}
