package origin

import (
	"sync"
	"sync/atomic"
	"time"
)

// headStart is how long the header of a body of unknown length is held back for its first byte.
const headStart = 500 * time.Millisecond

// head is the header of an answer on its way to the viewer. It leaves together with the first byte of the body: an origin
// that dies before that is told of by a status, not by an answer that breaks off.
type head struct {
	once sync.Once
	gone atomic.Bool
}

// open sends the header, if it is still here.
func (v *viewer) open() { v.head.once.Do(v.send) }

// show sends the header of a stream that has nothing to say yet: whoever waits for it shall know that it is there.
func (v *viewer) show() {
	v.head.once.Do(func() {
		v.send()
		_ = v.rc.Flush()
	})
}

func (v *viewer) send() {
	announce(v.ResponseWriter, v.resp)
	v.WriteHeader(v.resp.StatusCode)
	v.head.gone.Store(true)
}

// withhold keeps the header back for good. It reports false if that is too late.
func (v *viewer) withhold() (withheld bool) {
	v.head.once.Do(func() { withheld = true })
	return withheld
}
