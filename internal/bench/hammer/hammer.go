// Package hammer compares servers. It starts them, sends each in turn the same request over and over, and tells how many
// answers came per second and what each cost the server's CPU.
package hammer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Load is what is requested.
type Load struct {
	Name, Path string
	Header     string // lines, each with its line end
	Bytes      int64  // of the body of each answer
	Over       Over   // "": Plain
}

// ask keeps conns connections busy for span and returns the number of answers. The kernel discards the bodies, so that the
// client's copying is not measured.
func (l Load) ask(addr string, conns int, span time.Duration) (int64, error) {
	var done atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, conns)
	end := time.Now().Add(span)
	for range conns {
		wg.Go(func() {
			if err := l.keepAsking(addr, end, &done); err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return 0, err
	default:
	}
	return done.Load(), nil
}

func (l Load) keepAsking(addr string, end time.Time, done *atomic.Int64) error {
	open := l.overPlain
	switch l.Over {
	case TLS:
		open = l.overTLS
	case HTTP2:
		open = l.overHTTP2
	}
	ask, hangUp, err := open(addr)
	if err != nil {
		return err
	}
	defer hangUp()
	buf := make([]byte, 16<<10)
	for time.Now().Before(end) {
		if err := ask(buf); err != nil {
			return err
		}
		done.Add(1)
	}
	return nil
}

func (l Load) request() []byte {
	return []byte("GET " + l.Path + " HTTP/1.1\r\nHost: bench\r\n" + l.Header + "\r\n")
}

// overPlain asks on one connection without TLS.
func (l Load) overPlain(addr string) (ask func(buf []byte) error, hangUp func(), err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	request := l.request()
	return func(buf []byte) error {
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Write(request); err != nil {
			return err
		}
		return l.answer(conn, raw, buf[:4<<10])
	}, func() { conn.Close() }, nil
}

func (l Load) answer(conn net.Conn, raw syscall.RawConn, buf []byte) error {
	got := 0
	for {
		n, err := conn.Read(buf[got:])
		if err != nil {
			return err
		}
		got += n
		if i := bytes.Index(buf[:got], []byte("\r\n\r\n")); i >= 0 {
			length, err := lengthOf(buf[:i])
			if err != nil || length != l.Bytes {
				return fmt.Errorf("answer of %d bytes, not %d: %w\n%s", length, l.Bytes, err, buf[:i])
			}
			return discard(raw, length-int64(got-i-4))
		}
		if got == len(buf) {
			return errors.New("header too long")
		}
	}
}

func lengthOf(header []byte) (int64, error) {
	if !bytes.HasPrefix(header, []byte("HTTP/1.1 20")) {
		return 0, errors.New("status")
	}
	for line := range bytes.SplitSeq(header, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(": "))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			return strconv.ParseInt(string(value), 10, 64)
		}
	}
	return 0, errors.New("no length")
}

// sink is shared by all connections. With MSG_TRUNC the kernel drops the bytes and writes nothing.
var sink [1 << 20]byte

func discard(raw syscall.RawConn, left int64) error {
	for left > 0 {
		n, err := drop(raw, left)
		if err != nil {
			return err
		}
		left -= n
	}
	return nil
}

// drop waits for bytes and drops up to most of them.
func drop(raw syscall.RawConn, most int64) (int64, error) {
	var n int
	var err error
	waitErr := raw.Read(func(fd uintptr) bool {
		n, _, err = syscall.Recvfrom(int(fd), sink[:min(most, int64(len(sink)))], syscall.MSG_TRUNC)
		return err != syscall.EAGAIN
	})
	switch {
	case waitErr != nil:
		return 0, waitErr
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.ErrUnexpectedEOF
	}
	return int64(n), nil
}
