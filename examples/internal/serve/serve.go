// Package serve is what the example programs share: their flags, and a server that ends well. A program of yours has
// flags and a server of its own; copy the chain from the example's main.go, and from here what it lacks.
package serve

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Main runs a program until it ends or is interrupted, and exits with 1 if it fails.
func Main(run func(ctx context.Context, args []string, out io.Writer) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(os.Args[0]), err)
		os.Exit(1)
	}
}

// Listener listens on a TCP address.
type Listener struct{ net.Listener }

// Listen listens on HOST:PORT, which the flag of that name says. Port 0 is any free one.
func Listen(flag, addr string) (Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return Listener{}, fmt.Errorf("-%s %q: give HOST:PORT with a free port, such as 127.0.0.1:8080: %w", flag, addr, err)
	}
	return Listener{ln}, nil
}

// Self is the address itself, for a guard that must not dial it.
func (l Listener) Self() netip.AddrPort { return l.Addr().(*net.TCPAddr).AddrPort() }

// Local tells whether only this machine reaches the listener.
func (l Listener) Local() bool { return l.Self().Addr().Unmap().IsLoopback() }

// URL is the address as one types it. A listener on all addresses is also on localhost.
func (l Listener) URL() string {
	if self := l.Self(); self.Addr().IsUnspecified() {
		return "http://localhost:" + strconv.Itoa(int(self.Port()))
	}
	return "http://" + l.Addr().String()
}

// NewServer has the time limits that suit long answers. There is no WriteTimeout and no ReadTimeout: they would cut long
// films and long uploads. The blocks renew a deadline for each write instead, which HTTP/2 needs in its own place, too.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		HTTP2:             &http.HTTP2Config{WriteByteTimeout: 30 * time.Second},
	}
}

// Run answers until ctx ends. Answers that are under way then have five seconds more.
func Run(ctx context.Context, ln net.Listener, h http.Handler) error {
	srv := NewServer(h)
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		return srv.Close()
	}
	return nil
}
