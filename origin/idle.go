package origin

import (
	"context"
	"io"
	"time"
)

const errIdle = slowError("upstream body stalled")

// idle ends a request whose upstream is silent for too long. It runs only while bytes are waited for: the time that a
// viewer takes to swallow them is not upstream's. One goroutine at a time may use it.
type idle struct {
	limit   time.Duration
	timer   *time.Timer
	expire  func()
	waiting bool
}

func newIdle(limit time.Duration, cancel context.CancelCauseFunc) *idle {
	return &idle{limit: limit, expire: func() { cancel(errIdle) }}
}

func (i *idle) start() {
	i.waiting = true
	switch {
	case i.limit < 0:
	case i.timer == nil:
		i.timer = time.AfterFunc(i.limit, i.expire)
	default:
		i.timer.Reset(i.limit)
	}
}

func (i *idle) stop() {
	i.waiting = false
	if i.timer != nil {
		i.timer.Stop()
	}
}

// watch puts the limit on a body, however it is read.
func (i *idle) watch(body io.ReadCloser) io.ReadCloser {
	b := watched{body, i}
	if to, ok := body.(io.WriterTo); ok {
		return &watchedWriterTo{b, to}
	}
	return &b
}

type watched struct {
	io.ReadCloser
	idle *idle
}

func (b *watched) Read(p []byte) (int, error) {
	b.idle.start()
	defer b.idle.stop()
	return b.ReadCloser.Read(p)
}

func (b *watched) Close() error {
	b.idle.stop()
	return b.ReadCloser.Close()
}

type watchedWriterTo struct {
	watched
	to io.WriterTo
}

// WriteTo relies on the writer to stop the clock while it writes, as [viewer] does.
func (b *watchedWriterTo) WriteTo(w io.Writer) (int64, error) {
	b.idle.start()
	defer b.idle.stop()
	return b.to.WriteTo(w)
}
