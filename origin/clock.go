package origin

import (
	"context"
	"io"
	"sync/atomic"
	"time"
)

const (
	errSlowHeader = slowError("no header from upstream in time")
	errIdle       = slowError("upstream body stalled")
)

// clock ends a request that waits too long for upstream: for its header, and then for each piece of its body. It stands
// still while a viewer swallows what there is, since that time is not upstream's. One goroutine at a time may use it.
type clock struct {
	idle     time.Duration // between pieces of the body; negative: no limit
	deadline time.Time     // of the body as a whole; zero: none
	cancel   context.CancelCauseFunc
	timer    *time.Timer
	waiting  bool
	answered atomic.Bool // the header is here
}

// await begins the wait for the header. What is negative is no limit.
func (c *clock) await(d time.Duration) {
	if d >= 0 {
		c.timer = time.AfterFunc(d, c.expire)
	}
}

// header ends it. From here on only start begins a wait.
func (c *clock) header() {
	c.stop()
	c.answered.Store(true)
}

func (c *clock) expire() {
	if c.answered.Load() {
		c.cancel(errIdle)
	} else {
		c.cancel(errSlowHeader)
	}
}

func (c *clock) start() {
	c.waiting = true
	d := c.idle
	if !c.deadline.IsZero() {
		if left := time.Until(c.deadline); d < 0 || left < d {
			d = max(left, 0)
		}
	}
	switch {
	case d < 0:
	case c.timer == nil:
		c.timer = time.AfterFunc(d, c.expire)
	default:
		c.timer.Reset(d)
	}
}

func (c *clock) stop() {
	c.waiting = false
	if c.timer != nil {
		c.timer.Stop()
	}
}

// watched is a body under a clock.
type watched struct {
	io.ReadCloser
	clock *clock
}

func (b *watched) Read(p []byte) (int, error) {
	b.clock.start()
	defer b.clock.stop()
	return b.ReadCloser.Read(p)
}

type watchedWriterTo struct {
	watched
	to io.WriterTo
}

// WriteTo relies on the writer to stop the clock while it writes, as [viewer] does.
func (b *watchedWriterTo) WriteTo(w io.Writer) (int64, error) {
	b.clock.start()
	defer b.clock.stop()
	return b.to.WriteTo(w)
}
