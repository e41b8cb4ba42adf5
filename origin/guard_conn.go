package origin

import (
	"bytes"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/origin/internal/sloppy"
)

const (
	// restedLong is how long a connection may be idle before it is doubted.
	restedLong = 5 * time.Second
	// silentLong is how long a doubted connection may be silent. The limit is twice the longest time that the server has ever
	// taken, if that is more.
	silentLong = 5 * time.Second
	// gaveUp is how long a caller must have waited for its leaving to cast doubt on the other connections to the server.
	gaveUp = 3 * time.Second
	// mostUpstreams is how many servers without connections are remembered.
	mostUpstreams = 4096
)

var (
	// errOld makes net/http use another connection: nothing was sent on this one.
	errOld = errors.New("origin: this connection is not used any longer")
	// errSilent makes net/http ask again on another connection.
	errSilent = errors.New("origin: this connection is silent")
	// errBeyond ends a connection on which bytes follow the answer to a HEAD: they could be taken for the next answer.
	errBeyond = errors.New("origin: the answer to a HEAD has a body")
	// errTwoEnds refuses an answer that could be read in two ways.
	errTwoEnds = errors.New("origin: the answer has a Content-Length and a Transfer-Encoding")
	// errProxy ends a request that would bypass the guard: nobody checks where a proxy goes.
	errProxy = &ForbiddenError{Reason: "proxy that the guard does not know", Detail: "the Proxy of a guarded Transport is set by hand: set Guard.Via in its place"}
)

// upstream is the shared state of all connections to one address.
type upstream struct {
	conns      int // under Guard.mu
	generation atomic.Int64
	asksAgain  atomic.Bool  // a request of a silent connection was repeated on another one, which has not answered yet
	slowest    atomic.Int64 // the longest time until an answer began, in nanoseconds, without blocking reloads
}

// took records how long a server took.
func (u *upstream) took(d time.Duration) {
	for old := u.slowest.Load(); int64(d) > old; old = u.slowest.Load() {
		if u.slowest.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}

// conn is a connection to an HTTP/1 server. It tidies the headers of answers, refuses requests through a proxy that nobody
// checks, and closes itself when it is old or dead. Anything but HTTP passes unchanged.
type conn struct {
	net.Conn
	guard      *Guard
	address    string
	upstream   *upstream
	generation int64
	proxied    bool // it ends at Guard.Via; requests name the whole URL
	born       time.Time
	closed     sync.Once

	mu      sync.Mutex
	begun   bool      // something was written
	raw     bool      // it is no HTTP/1
	asked   bool      // there was a request
	again   bool      // the last request is not the first, and may be sent twice
	head    bool      // the last request was a HEAD: a body after its answer could look like another answer
	waiting bool      // for the header of an answer
	doubted bool      // it was idle, and has brought nothing since
	sent    time.Time // when the last request was sent; zero: its answer has begun, or does not show how fast the server is
	used    time.Time // when bytes last passed

	header []byte // bytes of a header that is not complete
	blank  int    // bytes of blank lines before it
	ready  []byte // bytes to read before anything else
}

// NetConn is for code that looks for the connection below.
func (c *conn) NetConn() net.Conn { return c.Conn }

func (c *conn) Write(p []byte) (int, error) {
	if err := c.begin(p); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// begin looks at bytes before they are sent. net/http writes a request without a body in one piece. One with a body begins with
// its first line.
func (c *conn) begin(p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	rested := now.Sub(c.used)
	c.used = now
	method, target, isRequest := requestLine(p)
	if !c.begun {
		c.begun, c.raw = true, !isRequest
		if forProxy(method, target, p) && !c.proxied {
			return errProxy
		}
	}
	if c.raw || !isRequest { // or a body
		return nil
	}
	plain := string(method) == "GET" || string(method) == "HEAD"
	again := c.asked && plain
	if c.head || again && (c.generation != c.upstream.generation.Load() || c.isOld(now)) {
		return errOld
	}
	c.sent = now
	if isBlockingTarget(target) {
		again, c.sent = false, time.Time{}
	}
	if c.doubted = again && rested >= restedLong; c.doubted {
		_ = c.Conn.SetReadDeadline(now.Add(max(silentLong, 2*time.Duration(c.upstream.slowest.Load()))))
	}
	c.asked, c.again, c.waiting, c.head = true, again, true, string(method) == "HEAD"
	return nil
}

// isOld reports whether the life of the connection is over.
func (c *conn) isOld(now time.Time) bool {
	life := or(c.guard.life, defaultLife)
	return life > 0 && now.Sub(c.born) >= life
}

// requestLine splits the first line of an HTTP/1 request.
func requestLine(p []byte) (method, target []byte, ok bool) {
	end := bytes.IndexByte(p, '\r')
	line, found := bytes.CutSuffix(p[:max(end, 0)], []byte(" HTTP/1.1"))
	space := bytes.IndexByte(line, ' ')
	if !found || space <= 0 {
		return nil, nil, false
	}
	for _, c := range line[:space] {
		if c < 'A' || c > 'Z' {
			return nil, nil, false
		}
	}
	return line[:space], line[space+1:], true
}

// forProxy reports whether bytes begin a message to a proxy: a request for a whole URL or for a tunnel, or SOCKS.
func forProxy(method, target, p []byte) bool {
	isSOCKS := len(p) >= 3 && len(p) < 300 && (p[0] == 4 && p[1] == 1 || p[0] == 5 && int(p[1]) == len(p)-2)
	return isSOCKS || string(method) == "CONNECT" || len(method) > 0 && !bytes.HasPrefix(target, []byte{'/'}) && string(target) != "*"
}

// isBlockingTarget reports whether the server may hold a request back.
func isBlockingTarget(target []byte) bool {
	_, query, found := bytes.Cut(target, []byte{'?'})
	return found && bytes.Contains(query, []byte(hls.Reserved)) && hls.IsBlocking(string(query))
}

func (c *conn) Read(p []byte) (int, error) {
	if len(c.ready) > 0 {
		return c.take(p), nil
	}
	for {
		n, err := c.Conn.Read(p)
		again, n, err := c.came(p, n, err)
		if !again {
			return n, err
		}
	}
}

// take copies bytes that are ready into p.
func (c *conn) take(p []byte) int {
	n := copy(p, c.ready)
	if c.ready = c.ready[n:]; len(c.ready) == 0 {
		c.ready = nil
	}
	return n
}

// came judges n bytes that were read into p. again asks the caller to read more, because a header is not complete.
func (c *conn) came(p []byte, n int, err error) (again bool, _ int, _ error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 && c.head && !c.waiting {
		return false, 0, errBeyond
	}
	if n > 0 {
		c.used = time.Now()
		if !c.sent.IsZero() {
			c.upstream.took(c.used.Sub(c.sent))
			c.sent = time.Time{}
			if !c.again {
				c.upstream.asksAgain.Store(false)
			}
		}
	}
	if c.doubted {
		if c.doubted = false; n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			c.upstream.generation.Add(1)
			c.upstream.asksAgain.Store(true)
			return false, 0, errSilent
		}
		_ = c.Conn.SetReadDeadline(time.Time{})
	}
	if !c.waiting || n == 0 && len(c.header) == 0 {
		return false, n, err
	}
	if len(c.header) == 0 && sloppy.End(p[:n]) > 0 {
		if most, ok := c.well(p[:n]); ok {
			return false, most, err
		}
	}
	if !c.gather(p[:n]) && err == nil && len(c.header)+c.blank <= headerBytes {
		return true, 0, nil
	}
	if !c.tidy() {
		return false, 0, errTwoEnds
	}
	if err != nil || len(c.header)+c.blank > headerBytes {
		c.waiting = false // net/http will report the fault
		c.ready, c.header, c.blank = append(c.ready, c.header...), nil, 0
	}
	if len(c.ready) == 0 && err == nil {
		return true, 0, nil
	}
	if n = c.take(p); len(c.ready) > 0 {
		err = nil // the next read returns it again
	}
	return false, n, err
}

// gather adds bytes to a header, and reports whether it may be complete now. It looks at each byte once, because a header may
// come byte by byte.
func (c *conn) gather(p []byte) bool {
	had := len(c.header)
	c.header = append(c.header, p...)
	text := bytes.TrimLeft(c.header, "\r\n")
	blank := len(c.header) - len(text)
	c.header, c.blank = text, c.blank+blank
	added := text[max(had-blank-2, 0):]
	return bytes.Contains(added, []byte("\n\n")) || bytes.Contains(added, []byte("\n\r\n"))
}

// well reports whether the answer needs no change, informational ones at its start included. most is how many of its bytes may
// be read.
func (c *conn) well(answer []byte) (most int, ok bool) {
	for most < len(answer) {
		n := sloppy.End(answer[most:])
		if n == 0 || !sloppy.WellFormed(answer[most:most+n]) {
			return 0, false
		}
		status := sloppy.Status(answer[most : most+n])
		if most += n; status/100 != 1 || status == 101 {
			c.waiting = false
			return most + c.rest(len(answer)-most), true
		}
	}
	return most, true
}

// rest is how many of the n bytes after a header may be read.
func (c *conn) rest(n int) int {
	if c.head {
		return 0
	}
	return n
}

// tidy makes the header that has arrived, and the bytes after it, ready to read. It returns false if it is unclear where the
// body ends.
func (c *conn) tidy() bool {
	for c.waiting {
		n := sloppy.End(c.header)
		if n == 0 {
			break
		}
		from := len(c.ready)
		if header := c.header[:n]; sloppy.WellFormed(header) {
			c.ready = append(c.ready, header...)
		} else {
			c.ready = sloppy.AppendTidy(c.ready, header)
		}
		c.header = c.header[n:]
		status := sloppy.Status(c.ready[from:])
		c.waiting = status/100 == 1 && status != 101
		if hasBody(status) && !c.head && sloppy.HasTwoEnds(c.ready[from:]) {
			return false
		}
	}
	if !c.waiting {
		c.ready, c.header, c.blank = append(c.ready, c.header[:c.rest(len(c.header))]...), nil, 0
	}
	return true
}

// Close also warns the other connections to the server if this one was closed before it brought anything: they may be dead as
// well.
func (c *conn) Close() error {
	c.closed.Do(func() {
		c.mu.Lock()
		if c.waiting && c.again && time.Since(c.used) >= gaveUp {
			c.upstream.generation.Add(1)
		}
		if !c.again && !c.sent.IsZero() && time.Since(c.sent) >= gaveUp && c.upstream.asksAgain.Swap(false) {
			c.upstream.took(time.Since(c.sent)) // or longer: the server is slow, and no connection is dead
		}
		c.mu.Unlock()
		c.guard.forget(c.address)
	})
	return c.Conn.Close()
}
