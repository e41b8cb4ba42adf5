package origin

import (
	"cmp"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/stall"
)

const readSize = 64 << 10

var buffers = sync.Pool{New: func() any { return new([readSize]byte) }}

// pass sends the answer to the viewer. An error is one of upstream's before any byte of its body; after that nothing but a
// broken connection can tell of a fault.
func (f *fetch) pass(w http.ResponseWriter) error {
	f.out.init(w, f)
	v, resp := &f.out, f.resp
	if f.viewer.Method == http.MethodHead || !hasBody(resp.StatusCode) {
		v.open()
		return nil
	}
	if resp.ContentLength < 0 {
		return f.passLater(resp.Body)
	}
	return f.passed(v.copy(resp.Body))
}

// passLater is pass for a body of unknown length.
func (f *fetch) passLater(body io.Reader) error {
	defer f.out.withhold() // whatever happens below, nothing is written after it
	defer time.AfterFunc(headStart, f.out.show).Stop()
	return f.passed(f.out.copy(body))
}

// passed is the rest of pass, when the body has gone with err. Like [fetch.open] it takes no room on the stack meanwhile.
func (f *fetch) passed(err error) error {
	v := &f.out
	v.head.check()
	if err != nil && v.withhold() {
		return cmp.Or(f.clock.cause(), err)
	}
	v.open()    // an empty body
	v.out.Arm() // net/http has yet to send what it holds back
	if v.err != nil {
		return nil // the viewer, or whoever stands in between, has what it wants or is gone, and knows
	}
	if err != nil {
		f.proxy.report(f.viewer, cmp.Or(f.clock.cause(), err))
		_ = v.FlushError() // or nothing at all would come, and clients ask again for what never begins
		if !f.viewer.ProtoAtLeast(1, 1) && v.resp.ContentLength < 0 {
			v.reset()
		}
		v.out.Break()
		panic(http.ErrAbortHandler)
	}
	return nil
}

// viewer is the way to the client: large writes in pieces, each with time of its own, so that a viewer may be slow for
// hours but not stand still.
type viewer struct {
	http.ResponseWriter
	out   stall.Writer
	resp  *http.Response
	head  head
	clock *upstreamContext
	fixed [2]string // values of fields that each answer has
	err   error     // of the last Write
}

//go:noinline
func (v *viewer) init(w http.ResponseWriter, f *fetch) {
	v.ResponseWriter, v.out, v.resp, v.clock = w, stall.New(w, f.viewer, f.proxy.Stall), f.resp, &f.clock
}

// Unwrap is for http.ResponseController.
func (v *viewer) Unwrap() http.ResponseWriter { return v.ResponseWriter }

func (v *viewer) copy(body io.Reader) error {
	if to, ok := body.(io.WriterTo); ok {
		_, err := to.WriteTo(v)
		return err
	}
	return v.read(body)
}

func (v *viewer) read(body io.Reader) error {
	buf := buffers.Get().(*[readSize]byte)
	defer func() {
		if v.err == nil { // else an HTTP/2 server may still be sending what it was given
			buffers.Put(buf)
		}
	}()
	for {
		n, err := body.Read(buf[:])
		if n > 0 {
			if _, err := v.Write(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case n > 0:
			// Live bodies trickle: what is here must not wait for what is not.
			if err := v.FlushError(); err != nil {
				return err
			}
		}
	}
}

// FlushError is for http.ResponseController.
func (v *viewer) FlushError() error {
	if !v.head.gone.Load() {
		return nil
	}
	if err := v.out.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		v.err = err
		return err
	}
	return nil
}

func (v *viewer) Write(p []byte) (n int, err error) {
	v.open()
	waiting := v.clock.waiting
	if waiting {
		v.clock.stop()
	}
	if n, err = v.out.Write(p); err != nil {
		v.err = err
	}
	if waiting {
		v.clock.start()
	}
	return n, err
}

// headStart is how long the header of a body of unknown length is held back for its first byte.
const headStart = 500 * time.Millisecond

// head is the header of an answer on its way to the viewer. It leaves together with the first byte of the body: an origin
// that dies before that is told of by a status, not by an answer that breaks off.
type head struct {
	once  sync.Once
	gone  atomic.Bool
	panic atomic.Pointer[any] // of the timer's goroutine, where nobody would recover it
}

// open sends the header, if it is still here.
func (v *viewer) open() {
	v.head.once.Do(func() {
		v.send()
		v.head.gone.Store(true)
	})
	v.head.check()
}

// show sends the header of a stream that has nothing to say yet: the client shall know that the stream is there. It runs on
// a timer's goroutine, so a panic of an outer ResponseWriter is kept for the handler, whose wait for the body it ends.
func (v *viewer) show() {
	v.head.once.Do(func() {
		var cause any = http.ErrAbortHandler // of a runtime.Goexit
		defer func() {
			if v.head.gone.Load() {
				return
			}
			if p := recover(); p != nil {
				cause = p
			}
			v.head.panic.Store(&cause)
			v.clock.end()
		}()
		v.out.Arm()
		v.send()
		_ = v.out.Flush()
		v.head.gone.Store(true)
	})
}

func (v *viewer) send() {
	v.announce()
	v.WriteHeader(v.resp.StatusCode)
}

// withhold keeps the header back for good. It reports false if that is too late.
func (v *viewer) withhold() (withheld bool) {
	v.head.once.Do(func() { withheld = true })
	return withheld
}

// check passes on to the handler what went wrong on the timer's goroutine.
func (h *head) check() {
	if p := h.panic.Load(); p != nil {
		panic(*p)
	}
}

// reset breaks a connection on which a body ends where the connection does, as with HTTP/1.0 (RFC 9112 section 6.3): an
// orderly end would make a whole of half a body, also for a proxy that keeps it.
func (v *viewer) reset() {
	conn, _, err := http.NewResponseController(v.ResponseWriter).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	below := conn
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		below = t.NetConn()
	}
	if tcp, ok := below.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}
