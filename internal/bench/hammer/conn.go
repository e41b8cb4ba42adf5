package hammer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// Conn is one client on a persistent connection. It is light, because thousands of clients must cost less than the server that
// they ask.
type Conn struct {
	conn net.Conn
	raw  syscall.RawConn
}

// Dial connects to a server.
func Dial(addr string) (*Conn, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &Conn{conn, raw}, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// Get asks for path and reads the answer, which has a declared length, in ten seconds at most. buf takes the header and the
// part of the body that comes with it. The kernel discards the rest of a longer body. Get returns the part of the body that is
// in buf.
func (c *Conn) Get(path string, buf []byte) (body []byte, length int64, err error) {
	c.conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.conn.Write(append(append(buf[:0], "GET "+path+" HTTP/1.1\r\nHost: bench\r\n"...), '\r', '\n')); err != nil {
		return nil, 0, err
	}
	for got := 0; got < len(buf); {
		n, err := c.conn.Read(buf[got:])
		if err != nil {
			return nil, 0, err
		}
		got += n
		i := bytes.Index(buf[:got], []byte("\r\n\r\n"))
		if i < 0 {
			continue
		}
		if length, err = lengthOf(buf[:i]); err != nil {
			return nil, 0, fmt.Errorf("%w\n%s", err, buf[:i])
		}
		for got < len(buf) && int64(got-i-4) < length {
			n, err := c.conn.Read(buf[got:])
			if err != nil {
				return nil, 0, err
			}
			got += n
		}
		return buf[i+4 : got], length, discard(c.raw, length-int64(got-i-4))
	}
	return nil, 0, errors.New("header too long")
}

// Time asks for path and returns when the first and the last byte of the body came. The body must have this length, and the
// kernel discards most of it. It takes ten seconds at most.
func (c *Conn) Time(path string, length int64) (first, last time.Duration, err error) {
	var buf [4 << 10]byte
	c.conn.SetDeadline(time.Now().Add(10 * time.Second))
	begun := time.Now()
	if _, err := c.conn.Write(append(append(buf[:0], "GET "+path+" HTTP/1.1\r\nHost: bench\r\n"...), '\r', '\n')); err != nil {
		return 0, 0, err
	}
	for got := 0; got < len(buf); {
		n, err := c.conn.Read(buf[got:])
		if err != nil {
			return 0, 0, err
		}
		got += n
		end := bytes.Index(buf[:got], []byte("\r\n\r\n"))
		if end < 0 || got == end+4 {
			continue
		}
		first = time.Since(begun)
		if declared, err := lengthOf(buf[:end]); err != nil || declared != length {
			return 0, 0, fmt.Errorf("answer of %d bytes, not %d: %w\n%s", declared, length, err, buf[:end])
		}
		err = discard(c.raw, length-int64(got-end-4))
		return first, time.Since(begun), err
	}
	return 0, 0, errors.New("header too long")
}

// Listen asks for path and takes what comes until a given time. The answer must not end before. The kernel discards the bytes,
// and taken counts them.
func (c *Conn) Listen(path string, until time.Time, taken *atomic.Int64) error {
	c.conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.conn.Write([]byte("GET " + path + " HTTP/1.1\r\nHost: bench\r\n\r\n")); err != nil {
		return err
	}
	var head [len("HTTP/1.1 200")]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil || string(head[:]) != "HTTP/1.1 200" {
		return fmt.Errorf("%q: %w", head, err)
	}
	c.conn.SetDeadline(until)
	for {
		n, err := drop(c.raw, int64(len(sink)))
		taken.Add(n)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
