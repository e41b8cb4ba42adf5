package main

import (
	"io"
	"net"
	"syscall"
	"time"
)

// patient gives connections that may be slow for hours but not stand still: each piece that a client takes gives the
// next one its own time. A reader that is stuck would else keep its connection, and the file that it reads, for ever.
type patient struct {
	net.Listener
	stall time.Duration
}

func (l patient) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return &patientConn{tcp, l.stall}, nil
	}
	return c, err
}

type patientConn struct {
	*net.TCPConn
	stall time.Duration
}

func (c *patientConn) renew() { c.SetWriteDeadline(time.Now().Add(c.stall)) }

func (c *patientConn) Write(p []byte) (n int, err error) {
	const piece = 256 << 10
	for {
		c.renew()
		m, err := c.TCPConn.Write(p[n:min(n+piece, len(p))])
		if n += m; err != nil || n == len(p) {
			return n, err
		}
	}
}

// ReadFrom lets what knows how to go through the kernel write itself to c, by SyscallConn.
func (c *patientConn) ReadFrom(r io.Reader) (int64, error) {
	if to, ok := r.(io.WriterTo); ok {
		return to.WriteTo(c)
	}
	return io.CopyBuffer(struct{ io.Writer }{c}, r, make([]byte, 64<<10))
}

func (c *patientConn) SyscallConn() (syscall.RawConn, error) {
	raw, err := c.TCPConn.SyscallConn()
	return patientRaw{raw, c}, err
}

// patientRaw is called each time the connection takes more.
type patientRaw struct {
	syscall.RawConn
	conn *patientConn
}

func (r patientRaw) Write(f func(fd uintptr) (done bool)) error {
	r.conn.renew() // what is over already would fail before f is asked
	return r.RawConn.Write(func(fd uintptr) bool {
		r.conn.renew()
		return f(fd)
	})
}
