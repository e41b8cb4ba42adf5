package origin

import (
	"slices"
	"time"
)

const (
	// several streams that fail in a row say something of the origin.
	several = 2
	// maxTroubles is how many streams an origin's health keeps in mind.
	maxTroubles = 1024
	// tryFor is how long a request may find out whether a stream is back before another one may.
	tryFor = 5 * time.Second
)

// trouble is what an origin has with one stream: a circuit breaker of its own.
type trouble struct {
	failures int // in a row
	trips    int // in a row
	last     time.Time
	until    time.Time // zero: closed
}

// isOpen reports that the stream is not to be asked for. Nil: there is no trouble.
func (t *trouble) isOpen(now time.Time) bool { return t != nil && now.Before(t.until) }

// begin reports whether a request may be sent. When the time is over, one finds out for the others.
func (t *trouble) begin(now time.Time) bool {
	switch {
	case t == nil || t.until.IsZero():
		return true
	case now.Before(t.until):
		return false
	}
	t.until = now.Add(tryFor)
	return true
}

// blame counts a failure against a stream. The caller holds the lock.
func (h *health) blame(f failure, most int, cooldown time.Duration) {
	if !slices.Contains(h.failing, f.stream) && len(h.failing) < several {
		h.failing = append(h.failing, f.stream)
	}
	t := h.streams[f.stream]
	switch {
	case t == nil:
		h.forgetOne(f.now)
		t = new(trouble)
		h.streams[f.stream] = t
	case t.until.Before(f.now) && f.now.Sub(t.last) > forget:
		*t = trouble{}
	}
	t.failures++
	t.last = f.now
	if t.failures >= most || f.asked > 0 {
		t.until = f.now.Add(waitAfter(t.trips, f.asked, cooldown))
		t.trips++
	}
}

// forgetOne makes room for a stream: one whose time is over goes first.
func (h *health) forgetOne(now time.Time) {
	if h.streams == nil {
		h.streams = map[string]*trouble{}
	}
	if len(h.streams) < maxTroubles {
		return
	}
	for name, t := range h.streams {
		if !t.isOpen(now) {
			delete(h.streams, name)
			return
		}
	}
	for name := range h.streams {
		delete(h.streams, name)
		return
	}
}
