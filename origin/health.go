package origin

import (
	"math/rand/v2"
	"sync"
	"time"
)

// forget is how long a failure counts as one of several in a row.
const forget = 60 * time.Second

// health is a circuit breaker: closed while an origin works, open while it cools down, and half open when one request
// may find out.
type health struct {
	mu       sync.Mutex
	failures int // in a row
	last     time.Time
	trips    int       // in a row
	until    time.Time // zero: closed
	probing  bool
	latency  time.Duration
}

// cooling reports that the origin is not to be asked, for now or while another request finds out.
func (h *health) cooling(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.until.IsZero() && (h.probing || now.Before(h.until))
}

// begin tells that a request is about to be sent. It is the probe if the cooldown is over and there is no other; while
// the origin cools down it is not ok, unless forced.
func (h *health) begin(now time.Time, force bool) (probe, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.until.IsZero() {
		return false, true
	}
	if h.probing || now.Before(h.until) {
		return false, force
	}
	h.probing = true
	return true, true
}

// end takes back what begin said of a request that came to nothing through no fault of the origin.
func (h *health) end(probe bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if probe {
		h.probing = false
	}
}

// answered: a good header came. It lets others in again, but one more failure shuts the door at once.
func (h *health) answered(took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until, h.probing = time.Time{}, false
	if h.latency == 0 {
		h.latency = took
	}
	h.latency += (took - h.latency) / 8
}

// completed: a body came to its end.
func (h *health) completed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.until.IsZero() {
		h.failures, h.trips = 0, 0
	}
}

// failed counts a failure and opens the circuit when it is one too many, for at least so long as the origin asked.
func (h *health) failed(now time.Time, probe bool, asked time.Duration, most int, cooldown time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.until.IsZero() && now.Sub(h.last) > forget {
		h.failures, h.trips = 0, 0
	}
	h.failures++
	h.last = now
	if probe {
		h.probing = false
	}
	open := !h.until.IsZero()
	if open && !probe {
		return // one that was under way when the circuit opened says nothing new
	}
	if h.failures < most && asked == 0 && !probe {
		return
	}
	wait := min(cooldown<<min(h.trips, 10), max(maxCooldown, cooldown))
	wait += time.Duration((rand.Float64() - 0.5) * 0.4 * float64(wait)) // or all nodes come back at the same moment
	h.trips++
	h.until = now.Add(max(wait, min(asked, maxCooldown)))
}

func (h *health) describe(s *OriginState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.Healthy, s.Failures, s.Until, s.Latency = h.until.IsZero(), h.failures, h.until, h.latency
}
