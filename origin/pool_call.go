package origin

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/httpstatus"
)

// call is one request to one origin, from the dial to the last byte.
type call struct {
	pool    *Pool
	member  *member
	stream  string
	caller  context.Context // of the request in front of the pool
	ctx     context.Context // of this call
	cancel  context.CancelCauseFunc
	begun   time.Time
	probe   bool
	blocks  bool // a blocking reload: its duration means nothing
	good    bool // the header has arrived and is no failure
	dropped atomic.Bool
	once    sync.Once
}

// slowEnough is how long a caller must have waited for its leaving to count as the origin's fault. A blocking reload never
// counts: a viewer may leave it at any time.
const slowEnough = defaultPatience

func newCall(t *trip, m *member, probe bool, now time.Time) *call {
	c := &call{pool: t.pool, member: m, stream: t.stream, caller: t.request.Context(), begun: now, probe: probe, blocks: isBlocking(t.request.URL)}
	ctx := c.caller
	if t.pool.serverName != "" {
		ctx = context.WithValue(ctx, serverNameKey{}, t.pool.serverName)
	}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	m.requests.Add(1)
	m.inFlight.Add(1)
	return c
}

// drop ends a call whose answer nobody needs.
func (c *call) drop() {
	c.dropped.Store(true)
	c.cancel(context.Canceled)
}

// failed ends a call that brought no header, or whose body broke, while the caller was waiting since then.
func (c *call) failed(err error, since time.Time) {
	c.once.Do(func() {
		now := time.Now()
		ofStream := c.good || !ofConnection(err)
		if c.dropped.Load() || c.left() && (c.blocks || now.Sub(since) < slowEnough) || c.blocks && ofStream {
			c.member.health.dropped(c.begun, c.probe)
		} else {
			c.count(failure{now: now, probe: c.probe}, ofStream)
		}
		c.member.inFlight.Add(-1)
		c.cancel(err)
	})
}

// count records a failure.
func (c *call) count(f failure, ofStream bool) {
	if ofStream {
		f.stream = c.stream
	}
	f.begun = c.begun
	if c.pool.failures == math.MaxInt {
		f.asked = 0 // nothing takes it out
	}
	c.member.errors.Add(1)
	c.member.health.failed(f, c.pool.failures, c.pool.cooldown)
}

// ofConnection reports whether a connection failed, which is the origin's fault. Silence may be a fault of one stream.
func ofConnection(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" || errors.Is(err, errHandshake) || !httpstatus.IsTimeout(err)
}

// left reports whether the caller went away. A caller whose own time limit ended the wait has a reason to complain.
func (c *call) left() bool {
	return c.caller.Err() != nil && !httpstatus.IsTimeout(context.Cause(c.caller))
}

// answered records a header and watches the body.
func (c *call) answered(resp *http.Response) {
	now := time.Now()
	switch c.good = !httpstatus.Failed(resp.StatusCode); {
	case !c.good && c.blocks: // the stream stands still
		c.member.health.dropped(c.begun, c.probe)
	case !c.good:
		c.count(failure{now: now, probe: c.probe, asked: askedWait(resp, now)}, true)
	default:
		c.member.health.answered(now, now.Sub(c.begun), c.probe, c.blocks)
		c.pool.checkOutlier(c.member, now)
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	c.probe = c.probe && c.good
	resp.Body = &callBody{ReadCloser: resp.Body, call: c, good: !poor(resp) && !(c.blocks && resp.StatusCode >= 400)}
}

// ended records the end of a body, or that it was closed before.
func (c *call) ended(complete bool) {
	c.once.Do(func() {
		c.member.health.ended(c.begun, c.probe, complete, c.stream)
		c.member.inFlight.Add(-1)
		c.cancel(nil)
	})
}

type callBody struct {
	io.ReadCloser
	call *call
	good bool // the answer is a success
}

func (b *callBody) Read(p []byte) (int, error) {
	since := time.Now()
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		b.call.ended(b.good)
	case err != nil:
		b.call.failed(err, since)
	}
	return n, err
}

func (b *callBody) Close() error {
	defer b.call.ended(b.good && b.ReadCloser == http.NoBody) // whatever Close does
	return b.ReadCloser.Close()
}

// budgets are separate, so that requests for missing files, or slow requests, leave the others their second chance.
type budgets struct{ retries, missed, hedges budget }

func (b *budgets) init(share float64) {
	b.retries.init(share)
	b.missed.init(share)
	b.hedges.init(share)
}

func (b *budgets) earn(now time.Time) {
	b.retries.earn(now)
	b.missed.earn(now)
	b.hedges.earn(now)
}

// budget limits retries to a fraction of the requests, so that retries do not overload origins that are in trouble.
type budget struct {
	mu     sync.Mutex
	share  float64 // earned by each request; negative: no limit
	tokens float64
	last   time.Time
}

const (
	freeRetries = 10   // a second
	maxRetries  = 1000 // saved up: enough to move the requests under way when an origin falls silent
)

func (b *budget) init(share float64) {
	b.share, b.tokens = share, maxRetries
	if share == 0 {
		b.share = defaultBudget
	}
}

func (b *budget) earn(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.last.IsZero() {
		b.tokens += now.Sub(b.last).Seconds() * freeRetries
	}
	b.last = now
	b.tokens = min(b.tokens+max(b.share, 0), maxRetries)
}

func (b *budget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < 1 && b.share >= 0 {
		return false
	}
	b.tokens--
	return true
}
