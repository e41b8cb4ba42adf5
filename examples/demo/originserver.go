package main

import (
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
)

// originServer behaves like an origin in a process of its own: it can be killed, and started again at the same address.
type originServer struct {
	name    string
	handler http.Handler
	traffic traffic

	mu      sync.Mutex
	address string       // after the first start
	server  *http.Server // nil: dead
	ended   chan struct{}
}

// start listens, on any free port the first time. It does nothing if the origin runs.
func (o *originServer) start() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.server != nil {
		return nil
	}
	address := o.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server, ended := serve.NewServer(o.handler), make(chan struct{})
	o.address, o.server, o.ended = ln.Addr().String(), server, ended
	go func() {
		defer close(ended)
		server.Serve(ln) // returns when the server is closed
	}()
	return nil
}

// kill breaks all connections and stops listening, as the end of a process does.
func (o *originServer) kill() { o.end(func(s *http.Server) error { return s.Close() }) }

// stop lets running answers finish until ctx ends.
func (o *originServer) stop(ctx context.Context) error {
	return o.end(func(s *http.Server) error {
		if err := s.Shutdown(ctx); err != nil {
			return s.Close()
		}
		return nil
	})
}

func (o *originServer) end(how func(*http.Server) error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.server == nil {
		return nil
	}
	err := how(o.server)
	<-o.ended
	o.server = nil
	return err
}

func (o *originServer) alive() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.server != nil
}
