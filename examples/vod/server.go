package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// run prints where it listens and links to the first films, and serves until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(o.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	ln, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}
	defer ln.Close()
	base, local := urlOf(ln), ln.Addr().(*net.TCPAddr).IP.IsLoopback()
	if o.public == "" && local {
		o.public = base
	}
	h, home, err := newHandler(ctx, o, root, local)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "listening on", base)
	if o.key == "" {
		fmt.Fprintf(out, "open %s/\n", base)
	} else {
		fmt.Fprintf(out, "open %s/ (any name, and the key as password)\n", base)
	}
	films, err := home.list()
	for _, f := range films[:min(len(films), 20)] {
		fmt.Fprintf(out, "play %s%s\n", base, f.Link)
	}
	if err != nil {
		return err
	}
	return serve(ctx, ln, h)
}

// serve answers until ctx ends, and then gives the answers that are under way five seconds.
func serve(ctx context.Context, ln net.Listener, h http.Handler) error {
	// Neither ReadTimeout nor WriteTimeout: they would cut long uploads and long films. What stands still is told by
	// arrival and by rangeserve.Files.
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, HTTP2: &http.HTTP2Config{WriteByteTimeout: 30 * time.Second}}
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
