package origin

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

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
