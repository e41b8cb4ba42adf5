// Package relay is a way between two programs of a test on which bytes can be stopped, as a network that loses all packets
// does, and connections be broken.
package relay

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
)

// Relay passes bytes on between its clients and an address. Its methods may be called concurrently.
type Relay struct {
	ln   net.Listener
	to   string
	edit func(up bool, lines []byte) []byte

	mu    sync.Mutex
	cond  *sync.Cond
	stops func(net.Addr) bool // nil: nobody
	links map[*link]bool
	ended bool
}

// link is one connection, with both its halves.
type link struct {
	in, out net.Conn
	stopped bool
}

// New returns a Relay to an address, on a free port of this machine. edit, if not nil, may change what is passed on, up to the
// address or down from it: it gets whole lines, each with its CR and LF.
func New(to string, edit func(up bool, lines []byte) []byte) (*Relay, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Relay{ln: ln, to: to, edit: edit, links: map[*link]bool{}}
	r.cond = sync.NewCond(&r.mu)
	go r.accept()
	return r, nil
}

// Addr is where it listens: HOST:PORT.
func (r *Relay) Addr() string { return r.ln.Addr().String() }

// Stop holds back the bytes of all clients whose address who reports, on present and new connections. It breaks no connection.
// A nil who ends that: the bytes that were held back go on.
func (r *Relay) Stop(who func(from net.Addr) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stops = who
	for l := range r.links {
		l.stopped = who != nil && who(l.in.RemoteAddr())
	}
	r.cond.Broadcast()
}

// StopAll is Stop for everybody.
func (r *Relay) StopAll() { r.Stop(func(net.Addr) bool { return true }) }

// Cut breaks all connections that there are.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for l := range r.links {
		l.close()
	}
}

// Close ends the relay with all its connections.
func (r *Relay) Close() error {
	r.mu.Lock()
	r.ended = true
	r.cond.Broadcast()
	r.mu.Unlock()
	err := r.ln.Close()
	r.Cut()
	return err
}

func (l *link) close() {
	l.in.Close()
	l.out.Close()
}

func (r *Relay) accept() {
	for {
		in, err := r.ln.Accept()
		if err != nil {
			return
		}
		go r.serve(in)
	}
}

func (r *Relay) serve(in net.Conn) {
	out, err := net.Dial("tcp", r.to)
	if err != nil {
		in.Close()
		return
	}
	l := &link{in: in, out: out}
	r.mu.Lock()
	l.stopped = r.stops != nil && r.stops(in.RemoteAddr())
	r.links[l] = true
	if r.ended {
		l.close()
	}
	r.mu.Unlock()
	var done sync.WaitGroup
	done.Go(func() { r.pass(l, true) })
	done.Go(func() { r.pass(l, false) })
	done.Wait()
	l.close()
	r.mu.Lock()
	delete(r.links, l)
	r.mu.Unlock()
}

// pass passes bytes on in one direction until one side ends, or breaks.
func (r *Relay) pass(l *link, up bool) {
	from, to := l.in, l.out
	if !up {
		from, to = to, from
	}
	var kept, buf = []byte(nil), make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		r.wait(l)
		kept = append(kept, buf[:n]...)
		if len(kept) > 0 && (err != nil || r.edit == nil || bytes.HasSuffix(kept, []byte("\r\n"))) {
			if r.edit != nil {
				kept = r.edit(up, kept)
			}
			if _, err := to.Write(kept); err != nil {
				l.close()
				return
			}
			kept = kept[:0]
		}
		switch half, ok := to.(*net.TCPConn); {
		case errors.Is(err, io.EOF) && ok:
			_ = half.CloseWrite()
			return
		case err != nil:
			l.close()
			return
		}
	}
}

// wait returns when bytes of a connection may pass.
func (r *Relay) wait(l *link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for l.stopped && !r.ended {
		r.cond.Wait()
	}
}
