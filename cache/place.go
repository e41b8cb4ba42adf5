package cache

import (
	"cmp"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// An answer that a viewer waits for or reads keeps its place among the MaxFills. An unwatched one holds its place only until a
// viewer needs it: viewers have left it, or it renews what was served stale. Fetches ahead are counted apart.

// mostOrphans is how many requests to one host may go on while nobody waits for them.
const mostOrphans = 16

// mostLeft is how many answers may go on after their viewers have left. It is a number of its own if there is no MaxFills.
func (t *Transport) mostLeft() int { return max(min(t.maxFills(), defaultMaxFills)/4, 1) }

// taken is how many of the places are taken for viewers. The caller holds Transport.mu.
func (t *Transport) taken() int { return len(t.flights) + t.filling + t.beside - t.earlyFills }

// hasRoom reports whether makeRoom can find a place. The caller holds Transport.mu.
func (t *Transport) hasRoom() bool {
	return t.taken() < t.maxFills() || len(t.left) > 0 || len(t.renewing) > 0
}

// makeRoom finds a place for a viewer. If there is no free one, it gives up what viewers have left, and renewals after that. The
// caller holds Transport.mu.
func (t *Transport) makeRoom() bool {
	for t.taken() >= t.maxFills() {
		o := cmp.Or(leastNear(t.left), leastNear(t.renewing))
		if o == nil {
			return false
		}
		o.bar()
	}
	return true
}

// boundLeft gives up answers that viewers have left, if there are too many. The caller holds Transport.mu.
func (t *Transport) boundLeft() {
	for most := t.mostLeft(); len(t.left) > most; {
		leastNear(t.left).bar()
	}
}

// mostCompared is how many flights leastNear looks at: viewers wait meanwhile. There may be more renewals.
const mostCompared = defaultMaxFills/4 + 1

// leastNear is the flight that would end last at its rate so far. Flights without a rate would end last of all; of several, it is
// the newest. The caller holds Transport.mu.
func leastNear(set map[*flight]struct{}) (last *flight) {
	var lastEnd, lastAge time.Duration
	looked := 0
	for o := range set {
		end, age := o.toCome()
		if last == nil || end > lastEnd || end == lastEnd && age < lastAge {
			last, lastEnd, lastAge = o, end, age
		}
		if looked++; looked == mostCompared {
			break
		}
	}
	return last
}

// toCome is how long an answer will still take at its rate so far, and how long it has taken. The caller holds Transport.mu.
func (o *flight) toCome() (end, age time.Duration) {
	if !o.asked.IsZero() {
		age = time.Since(o.asked)
	}
	if o.fill == nil {
		return noLimit, age
	}
	size, length := o.fill.body.State().Size, o.fill.body.Length()
	if size == 0 || length < 0 {
		return noLimit, age
	}
	rest := float64(age) * float64(length-size) / float64(size)
	return time.Duration(min(rest, float64(noLimit))), age
}

// recount is called after each change of what isUnwatched looks at. The caller holds Transport.mu.
func (o *flight) recount() {
	t := o.t
	delete(t.left, o)
	delete(t.renewing, o)
	if !o.isUnwatched() {
		return
	}
	set := &t.left
	if o.own > 0 {
		set = &t.renewing
	}
	if *set == nil {
		*set = map[*flight]struct{}{}
	}
	(*set)[o] = struct{}{}
}

// isUnwatched reports whether a flight, or its fill, has one of the places, but no viewer. The caller holds Transport.mu.
func (o *flight) isUnwatched() bool {
	switch {
	case o.early:
		return false
	case o.fill != nil:
		return !o.fill.settled && o.fill.shares <= o.own
	}
	return o.t.flights[o.key] == o && o.waiters <= o.own
}

// mayGoOn reports whether a request goes on that nobody waits for. A player that has given up comes again, or another does;
// without this, an origin that is slower than players are patient would never finish. The origin's own time limit still holds.
// A request does not go on if nothing would be kept, if there are many such requests, if it is a blocking reload, which only
// its viewers need, or if it was made before any viewer asked. The caller holds Transport.mu.
func (o *flight) mayGoOn() bool {
	t := o.t
	if t.Store == nil || o.early || o.barred.Load() || hls.IsBlocking(o.req.URL.RawQuery) {
		return false
	}
	orphans := 0
	for other := range t.left {
		if other.fill == nil && other.req.URL.Host == o.req.URL.Host {
			orphans++
		}
	}
	return orphans < mostOrphans
}
