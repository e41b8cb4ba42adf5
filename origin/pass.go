package origin

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/stall"
)

const readSize = 64 << 10

var buffers = sync.Pool{New: func() any { return new([readSize]byte) }}

// pass sends the answer to the viewer. An error is one of upstream's before any byte of its body; after that nothing but a
// broken connection can tell of a fault.
func (f *fetch) pass(w http.ResponseWriter) error {
	v, resp := &f.out, f.resp
	v.ResponseWriter, v.out, v.resp, v.clock = w, stall.New(w, f.viewer, f.proxy.Stall), resp, &f.clock
	if f.viewer.Method == http.MethodHead || !hasBody(resp.StatusCode) {
		v.open()
		return nil
	}
	if resp.ContentLength < 0 {
		defer v.withhold() // whatever happens below, nothing is written after it
		defer time.AfterFunc(headStart, v.show).Stop()
	}
	err := v.copy(resp.Body)
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
		if !f.viewer.ProtoAtLeast(1, 1) && resp.ContentLength < 0 {
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
	clock *clock
	fixed [2]string // values of fields that each answer has
	err   error     // of the last Write
}

// Unwrap is for http.ResponseController.
func (v *viewer) Unwrap() http.ResponseWriter { return v.ResponseWriter }

func (v *viewer) copy(body io.ReadCloser) error {
	if to, ok := body.(io.WriterTo); ok {
		_, err := to.WriteTo(v)
		return err
	}
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
	if v.clock.waiting {
		v.clock.stop()
		defer v.clock.start()
	}
	n, err = v.out.Write(p)
	if err != nil {
		v.err = err
	}
	return n, err
}
