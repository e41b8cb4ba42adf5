package origin

import (
	"context"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/firstbyte"
	"github.com/hlsproxy/hlsproxy/internal/maker"
	"github.com/hlsproxy/hlsproxy/internal/sharing"
)

const (
	errSlowHeader = slowError("no header from upstream in time")
	errIdle       = slowError("upstream body stalled")
)

// upstreamContext is the context of requests that are sent upstream for a viewer. It ends with the viewer's own request. It
// also ends waits for upstream that take too long: for the header, and then for each piece of the body. It stands still while
// bytes are written to the viewer, because that time is not upstream's.
//
// Most answers come from a cache at once. So there is neither a timer nor a channel until Done is called: code that does not
// call it does not wait. With context.WithCancelCause and time.AfterFunc instead, a hit allocates four times more and takes a
// tenth longer.
type upstreamContext struct {
	viewer   context.Context
	maker    maker.Fields  // of the viewer's link; nil: none
	idle     time.Duration // between pieces of the body; negative: no limit
	total    time.Duration // limit of the total time from the next wait on; 0: no limit
	deadline time.Time     // end of the total time
	lender   *fetch
	waiting  bool // for a piece of the body
	alike    bool // the request tells nothing about its viewer
	answered bool // the header has come; with mu

	// Done stores the alarm before it reads the other two, and those who store the two then look for an alarm. So one side
	// always sees what the other did, and a hit takes no lock for it.
	ended atomic.Bool
	limit atomic.Int64 // of the current wait, a time.Duration; negative: there is no wait, or no limit
	alarm atomic.Pointer[alarm]

	mu sync.Mutex // also for the timer of the alarm
}

// alarm is the part that wakes others.
type alarm struct {
	context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer // nil: no wait had a limit so far
}

// set starts or stops the timer of c. The caller holds the lock of c.
func (a *alarm) set(d time.Duration, c *upstreamContext) {
	switch {
	case a.timer == nil && d >= 0:
		a.timer = time.AfterFunc(d, c.expire)
	case a.timer != nil && d >= 0:
		a.timer.Reset(d)
	case a.timer != nil:
		a.timer.Stop()
	}
}

// Done makes the channel that others listen to. Together with Value, which leads to the context made here, it lets package
// context treat this one as one of its own.
func (c *upstreamContext) Done() <-chan struct{} {
	if a := c.alarm.Load(); a != nil {
		return a.Done()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.alarm.Load()
	if a != nil {
		return a.Done()
	}
	a = new(alarm)
	a.Context, a.cancel = context.WithCancelCause(c.viewer)
	c.alarm.Store(a)
	if c.ended.Load() {
		a.cancel(nil)
	} else {
		a.set(time.Duration(c.limit.Load()), c)
	}
	return a.Done()
}

// Err also asks whether c has ended if there is an alarm: a new one may not have heard of that yet, and what Err has said must
// stay true.
func (c *upstreamContext) Err() error {
	if a := c.alarm.Load(); a != nil {
		if err := a.Err(); err != nil {
			return err
		}
	}
	if c.ended.Load() {
		return context.Canceled
	}
	return c.viewer.Err()
}

func (c *upstreamContext) Value(key any) any {
	switch key {
	case sharing.Anonymous{}:
		return c.alike
	case sharing.Waiter{}:
		return c.longer
	case sharing.Lending{}:
		return c.lender
	case maker.Key{}:
		return c.maker
	}
	if a := c.alarm.Load(); a != nil {
		return a.Value(key)
	}
	return c.viewer.Value(key)
}

// longer allows at least d in all for the header. A cache calls it for what a playlist has hinted at, because an origin may
// hold that back until it exists.
func (c *upstreamContext) longer(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	limit := c.limit.Load()
	if c.answered || limit < 0 || limit >= int64(d) || !c.limit.CompareAndSwap(limit, int64(d)) {
		return
	}
	if a := c.alarm.Load(); a != nil {
		a.set(d, c)
	}
}

func (c *upstreamContext) Deadline() (time.Time, bool) { return c.viewer.Deadline() }

// begin must be called first.
func (c *upstreamContext) begin(viewer context.Context, idle time.Duration) {
	c.viewer, c.idle, c.maker = viewer, idle, maker.FromContext(viewer)
	c.limit.Store(-1)
}

// wait begins a wait. A negative d ends it.
func (c *upstreamContext) wait(d time.Duration) {
	c.limit.Store(int64(d))
	if a := c.alarm.Load(); a != nil {
		c.rearm(a)
	}
}

// rearm lets the timer follow the limit.
func (c *upstreamContext) rearm(a *alarm) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a.set(time.Duration(c.limit.Load()), c)
}

// header ends the wait for the header. After it, only start begins a wait.
func (c *upstreamContext) header() {
	c.mu.Lock()
	c.answered = true
	c.mu.Unlock()
	c.stop()
}

func (c *upstreamContext) expire() {
	c.mu.Lock()
	a, answered := c.alarm.Load(), c.answered
	c.mu.Unlock()
	if answered {
		a.cancel(errIdle)
	} else {
		a.cancel(errSlowHeader)
	}
}

func (c *upstreamContext) start() {
	c.waiting = true
	left := time.Duration(math.MaxInt64)
	switch {
	case c.total > 0:
		left, c.total = c.total, 0
		c.deadline = time.Now().Add(left)
	case !c.deadline.IsZero():
		left = max(time.Until(c.deadline), 0)
	}
	if c.idle >= 0 || left == math.MaxInt64 {
		left = min(left, c.idle)
	}
	c.wait(left)
}

func (c *upstreamContext) stop() {
	c.waiting = false
	c.wait(-1)
}

// end is called when upstream is no longer needed.
func (c *upstreamContext) end() {
	c.ended.Store(true)
	c.limit.Store(-1)
	if a := c.alarm.Load(); a != nil {
		c.rearm(a)
		a.cancel(nil)
	}
}

// cause is the error with which a wait ended. Nil: none did.
func (c *upstreamContext) cause() error {
	if a := c.alarm.Load(); a != nil && c.viewer.Err() == nil {
		return context.Cause(a)
	}
	return nil
}

// watched is a body whose reads are timed.
type watched struct {
	io.ReadCloser
	clock *upstreamContext
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

// WriteTo relies on the writer to stop the time while it writes, as [viewer] does.
func (b *watchedWriterTo) WriteTo(w io.Writer) (int64, error) {
	b.clock.start()
	defer b.clock.stop()
	return b.to.WriteTo(w)
}

// PeekByte implements firstbyte.Body.
func (b *watchedWriterTo) PeekByte() (byte, error) {
	b.clock.start()
	defer b.clock.stop()
	return firstbyte.Of(b.to)
}
