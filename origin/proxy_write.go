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

// pass sends the answer to the viewer. It returns an error of upstream if it comes before the first byte of the body. After
// that only a broken connection can report a fault.
func (f *fetch) pass(w http.ResponseWriter) error {
	f.out.init(w, f)
	v, resp := f.out, f.resp
	if resp.ContentLength < 0 && f.viewer.Method != http.MethodHead && hasBody(resp.StatusCode) {
		return f.passLater(resp.Body)
	}
	err := error(nil)
	if f.viewer.Method == http.MethodHead || !hasBody(resp.StatusCode) {
		v.open()
	} else {
		err = f.passed(v.copy(resp.Body))
	}
	v.idle = err == nil && v.err == nil
	return err
}

// passLater is pass for a body of unknown length.
func (f *fetch) passLater(body io.Reader) error {
	defer f.out.withhold() // whatever happens below, nothing is written after this
	defer time.AfterFunc(headStart, f.out.show).Stop()
	return f.passed(f.out.copy(body))
}

// passed is the end of pass, after the body has ended with err. Like [fetch.open], it is separate to keep the stack small.
func (f *fetch) passed(err error) error {
	v := f.out
	v.head.check()
	if err != nil && v.withhold() {
		return cmp.Or(f.clock.cause(), err)
	}
	v.open()    // for an empty body
	v.out.Arm() // net/http still has to send its buffer
	if v.err != nil {
		return nil // the viewer, or a handler in between, has stopped reading, and knows it
	}
	if err != nil {
		f.proxy.report(f.viewer, cmp.Or(f.clock.cause(), err))
		_ = v.FlushError() // otherwise nothing at all would be sent, and clients would repeat the request
		if !f.viewer.ProtoAtLeast(1, 1) && v.resp.ContentLength < 0 {
			v.reset()
		}
		v.out.Break()
		panic(http.ErrAbortHandler)
	}
	return nil
}

// viewer writes to the client: large writes are cut in pieces, each with a time limit of its own. So a viewer may be slow for
// hours, but may not stand still.
type viewer struct {
	http.ResponseWriter
	out   stall.Writer
	resp  *http.Response
	head  head
	lent  lent
	clock *upstreamContext
	fixed []string // values of fields that every answer has
	err   error    // of the last Write
	idle  bool     // no goroutine still uses it
}

var viewers = sync.Pool{New: func() any { return new(viewer) }}

//go:noinline
func (v *viewer) init(w http.ResponseWriter, f *fetch) {
	v.out, v.resp, v.clock, v.fixed = stall.New(w, f.viewer, f.proxy.Stall), f.resp, &f.clock, f.fixed[3:]
	v.out.Expect(f.resp.ContentLength)
}

// release ends the use of v. If there was a panic, or a timer that may call show, v is not used again.
func (v *viewer) release() {
	if v.lent.header != nil {
		v.lent.takeBack()
	}
	if v.idle {
		*v = viewer{lent: v.lent}
		viewers.Put(v)
	}
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
		if v.err == nil { // otherwise an HTTP/2 server may still be sending the bytes
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
			// Live bodies trickle: bytes that have come must not wait for more.
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

// headStart is how long the header of a body of unknown length waits for the first byte.
const headStart = 500 * time.Millisecond

// head is the header of an answer on its way to the viewer. It is sent together with the first byte of the body: if the origin
// dies before that, the viewer gets an error status, not an answer that breaks off.
type head struct {
	once  sync.Once
	gone  atomic.Bool
	panic atomic.Pointer[any] // from the timer's goroutine, where nobody would recover it
}

// open sends the header, unless it was sent.
func (v *viewer) open() {
	v.head.once.Do(func() {
		v.send()
		v.head.gone.Store(true)
	})
	v.head.check()
}

// show sends the header of a silent stream, so that the client knows it has begun. It runs in a timer's goroutine. A panic of
// an outer ResponseWriter there is kept for the handler, whose wait for the body it ends.
func (v *viewer) show() {
	v.head.once.Do(func() {
		var cause any = http.ErrAbortHandler // after runtime.Goexit
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

// withhold keeps the header back for good. It returns false if that is too late.
func (v *viewer) withhold() (withheld bool) {
	v.head.once.Do(func() { withheld = true })
	return withheld
}

// check panics in the handler with the panic of the timer's goroutine.
func (h *head) check() {
	if p := h.panic.Load(); p != nil {
		panic(*p)
	}
}

// reset breaks a connection whose end is also the end of the body, as with HTTP/1.0 (RFC 9112 section 6.3): after an orderly
// end, half a body would look whole, also to a proxy that stores it.
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
