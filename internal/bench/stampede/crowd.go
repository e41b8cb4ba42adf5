package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/hammer"
)

// figure is the result of one round of one server.
type figure struct {
	fetches       int
	first, behind []time.Duration // sorted, one for each client
	cpu           time.Duration
}

// crowd lets all clients ask at once, on open connections.
func crowd(s hammer.Server, o *origin, path string, clients int) (f figure, err error) {
	path = "/" + s.Name + path
	conns := make([]net.Conn, clients)
	for i := range conns {
		if conns[i], err = net.Dial("tcp", s.Addr); err != nil {
			return f, err
		}
		defer conns[i].Close()
	}
	before, err := s.CPU()
	if err != nil {
		return f, err
	}
	var wg sync.WaitGroup
	firsts, lasts, errs := make([]time.Time, clients), make([]time.Time, clients), make([]error, clients)
	began := time.Now()
	for i, conn := range conns {
		wg.Go(func() { firsts[i], lasts[i], errs[i] = client(conn, path) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return f, err
	}
	time.Sleep(100 * time.Millisecond) // until the kernel has counted all of it
	after, err := s.CPU()
	ends := o.take(path)
	f = figure{fetches: len(ends), cpu: after - before}
	for i := range clients {
		f.first = append(f.first, firsts[i].Sub(began))
		f.behind = append(f.behind, lasts[i].Sub(slices.MinFunc(ends, time.Time.Compare)))
	}
	slices.Sort(f.first)
	slices.Sort(f.behind)
	return f, err
}

// client reads one answer. It tells when the first and the last byte of the body came.
func client(conn net.Conn, path string) (first, last time.Time, err error) {
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n", path); err != nil {
		return first, last, err
	}
	buf := make([]byte, 64<<10)
	got, header := 0, -1
	for {
		n, err := conn.Read(buf[min(got, 4<<10):])
		if header < 0 {
			got += n
			if i := bytes.Index(buf[:got], []byte("\r\n\r\n")); i >= 0 {
				header = i + 4
				if !bytes.HasPrefix(buf, []byte("HTTP/1.1 200")) {
					return first, last, fmt.Errorf("%s", buf[:i])
				}
			}
		} else {
			got += n
		}
		if header >= 0 && got > header && first.IsZero() {
			first = time.Now()
		}
		if n > 0 {
			last = time.Now()
		}
		if err != nil {
			// Chunked answers are a little longer.
			if got-header < size {
				return first, last, fmt.Errorf("%d of %d bytes: %w", got-header, size, err)
			}
			return first, last, nil
		}
	}
}
