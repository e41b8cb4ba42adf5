package origin

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// forget is how long a failure counts towards several in a row.
const forget = 60 * time.Second

// probeBody is how long the body of a probe must flow at most before the origin counts as healthy.
const probeBody = 5 * time.Second

// minSamples is how many headers are needed for a typical latency.
const minSamples = 16

// health is a circuit breaker: closed while an origin works, open while it cools down, half open while one request tries it. A
// failure of one stream, such as a 503, opens it for that stream only. Several failing streams in a row, or connections that
// fail, open it for all.
type health struct {
	mu       sync.Mutex
	failures int                 // in a row
	failing  []string            // streams with these failures, some of them
	streams  map[string]*trouble // streams with failures in a row
	last     time.Time
	trips    int // in a row
	opened   time.Time
	until    time.Time // zero: closed
	probing  bool
	header   time.Time     // when the header of the probe came; zero: not yet
	latency  time.Duration // until a header comes, smoothed
	samples  int           // number of headers in latency
}

// cooling reports whether the origin must not be asked now, because it cools down or another request is trying it.
func (h *health) cooling(now time.Time, stream string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settle(now)
	return !h.until.IsZero() && (h.probing || now.Before(h.until)) || h.streams[stream].isOpen(now)
}

// troubled reports whether this stream must not be asked for here.
func (h *health) troubled(now time.Time, stream string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.streams[stream].isOpen(now)
}

// begin announces a request. The request is the probe if the cooldown is over and there is no other probe. While the origin
// cools down ok is false, unless forced. A blocking reload is never the probe: it would block all others for as long as its
// stream stands still.
func (h *health) begin(now time.Time, force, blocks bool, stream string) (probe, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settle(now)
	if h.until.IsZero() {
		return false, h.streams[stream].begin(now) || force
	}
	if h.probing || blocks || now.Before(h.until) {
		return false, force
	}
	h.probing, h.header = true, time.Time{}
	return true, true
}

// settle lets other requests in while the body of a probe is long and has not broken.
func (h *health) settle(now time.Time) {
	if h.probing && !h.header.IsZero() && now.Sub(h.header) >= probeBody {
		h.close()
	}
}

// close lets requests in. One more failure opens the circuit at once.
func (h *health) close() {
	h.until, h.header, h.probing, h.samples, h.latency = time.Time{}, time.Time{}, false, 0, 0
}

// tries reports whether a request is still the probe. It no longer is if the circuit has closed, or has opened again since the
// request began.
func (h *health) tries(probe bool, begun time.Time) bool {
	return probe && h.probing && !begun.Before(h.opened)
}

// dropped undoes begin for a request that ended early, through no fault of the origin.
func (h *health) dropped(begun time.Time, probe bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tries(probe, begun) {
		h.probing = false
	}
}

// answered records a good header. If it is a probe's, its body is still to come.
func (h *health) answered(now time.Time, took time.Duration, probe, blocks bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tries(probe, now.Add(-took)) {
		h.header = now
	}
	if blocks || !h.until.IsZero() {
		return
	}
	if h.samples++; h.samples == 1 {
		h.latency = took
	}
	h.latency += (took - h.latency) / 8
}

// typical is how long headers take, if that is known.
func (h *health) typical() (latency time.Duration, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.latency, h.until.IsZero() && h.samples >= minSamples
}

// trip opens the circuit without a failure.
func (h *health) trip(now time.Time, cooldown time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.until.IsZero() {
		h.open(now, 0, cooldown)
	}
}

// ended records that a body ended, or that its reader closed it. A complete body that was requested after the circuit opened
// closes it even if it was not the probe: it was a last resort that worked.
func (h *health) ended(begun time.Time, probe, complete bool, stream string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.until.IsZero() && (h.tries(probe, begun) || complete && !begun.Before(h.opened)) {
		h.close()
	}
	if complete {
		delete(h.streams, stream)
	}
	if complete && h.until.IsZero() {
		h.failures, h.trips, h.failing = 0, 0, nil
	}
}

// failure is the failure of one request.
type failure struct {
	now    time.Time
	begun  time.Time // when the request began
	probe  bool
	stream string        // the stream that has failed; empty: the origin itself has
	asked  time.Duration // how long the origin asked to be left alone
}

// failed counts a failure. One too many opens the circuit, at least for as long as the origin asked.
func (h *health) failed(f failure, most int, cooldown time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settle(f.now)
	now, probe, asked := f.now, h.tries(f.probe, f.begun), f.asked
	if h.until.IsZero() && now.Sub(h.last) > forget {
		h.failures, h.trips, h.failing = 0, 0, nil
	}
	h.failures++
	h.last = now
	if f.stream != "" {
		h.blame(f, most, cooldown)
		if !probe && len(h.failing) < several {
			return
		}
	}
	if probe {
		h.probing = false
	}
	if !h.until.IsZero() && !probe {
		return // a request from before the circuit opened tells nothing new
	}
	if h.failures < most && asked == 0 && !probe {
		return
	}
	h.open(now, asked, cooldown)
}

func (h *health) open(now time.Time, asked, cooldown time.Duration) {
	h.until = now.Add(waitAfter(h.trips, asked, cooldown))
	h.trips++
	h.opened, h.header, h.probing = now, time.Time{}, false
}

func waitAfter(trips int, asked, cooldown time.Duration) time.Duration {
	wait := min(cooldown<<min(trips, 10), max(maxCooldown, cooldown))
	wait += time.Duration((rand.Float64() - 0.5) * 0.4 * float64(wait)) // so that the nodes do not all come back at the same moment
	return max(wait, min(asked, maxCooldown))
}

func (h *health) describe(s *OriginState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.Troubled = len(h.streams)
	s.Healthy, s.Failures, s.Until, s.Latency = h.until.IsZero(), h.failures, h.until, h.latency
}

const (
	// several is how many streams that fail in a row make it a failure of the origin.
	several = 2
	// maxTroubles is how many streams with failures are remembered for an origin.
	maxTroubles = 1024
	// tryFor is how long one request may try a stream before another one may.
	tryFor = 5 * time.Second
)

// trouble is the circuit breaker of one stream at one origin.
type trouble struct {
	failures int // in a row
	trips    int // in a row
	last     time.Time
	until    time.Time // zero: closed
}

// isOpen reports whether the stream must not be asked for. Nil: there is no trouble.
func (t *trouble) isOpen(now time.Time) bool { return t != nil && now.Before(t.until) }

// begin reports whether a request may be sent. After the cooldown, one request tries for the others.
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

// blame counts a failure of a stream. The caller holds the lock.
func (h *health) blame(f failure, most int, cooldown time.Duration) {
	f.stream = strings.Clone(f.stream) // it may lie in the text of a long URL
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

// forgetOne makes room for a stream. It prefers to forget one whose time is over.
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

// outlierFloor is how much slower than others an outlier must be at least: milliseconds do not matter.
const outlierFloor = 500 * time.Millisecond
