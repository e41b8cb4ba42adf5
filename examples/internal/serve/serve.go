// Package serve is shared by the example programs: their flags, and a server that shuts down cleanly. Your own program has its
// own flags and server. Copy the chain from the example's main.go, and from here whatever it needs.
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

// Listen listens on HOST:PORT, the value of this flag. Port 0 is any free port.
func Listen(flag, addr string) (Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return Listener{}, fmt.Errorf("-%s %q: give HOST:PORT with a free port, or 127.0.0.1:0 for any: %w", flag, addr, err)
	}
	return Listener{ln}, nil
}

// Self is the listener's address, for a guard that must not dial it.
func (l Listener) Self() netip.AddrPort { return l.Addr().(*net.TCPAddr).AddrPort() }

// Local reports whether only this machine can reach the listener.
func (l Listener) Local() bool { return l.Self().Addr().Unmap().IsLoopback() }

// URL is the address to open. A listener on all addresses is also on localhost.
func (l Listener) URL() string {
	if self := l.Self(); self.Addr().IsUnspecified() {
		return "http://localhost:" + strconv.Itoa(int(self.Port()))
	}
	return "http://" + l.Addr().String()
}

// NewServer sets time limits that suit long answers. It sets neither WriteTimeout nor ReadTimeout, which would cut long films
// and uploads. The blocks renew a deadline for each write instead; HTTP/2 needs a setting of its own as well.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		HTTP2:             &http.HTTP2Config{WriteByteTimeout: 30 * time.Second},
	}
}

// Run serves until ctx ends. Running answers then have five more seconds.
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
