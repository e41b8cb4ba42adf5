package rules

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// ExactAge is the field in which one cache tells the next the age of its answer in milliseconds, because Age counts whole
// seconds.
const ExactAge = "Hlsproxy-Age"

// Restarted is the field in which one cache tells the next, with a live playlist, how many milliseconds ago its encoder began
// again.
const Restarted = "Hlsproxy-Restarted"

// RestartedAt is when the encoder of a live playlist began again, as another cache says. Zero: it does not say so.
func RestartedAt(h http.Header, now time.Time) time.Time {
	if ms, err := strconv.ParseUint(h.Get(Restarted), 10, 40); err == nil {
		return now.Add(-time.Duration(ms) * time.Millisecond)
	}
	return time.Time{}
}

// Lifetime is how long the origin says its answer is fresh, counted from when it was made (RFC 9111 section 4.2.1). ok is false
// if the origin says nothing.
func (c Control) Lifetime(h http.Header) (d time.Duration, ok bool) {
	switch {
	case c.NoCache:
		return 0, true
	case c.SMaxAge >= 0:
		return c.SMaxAge, true
	case c.MaxAge >= 0:
		return c.MaxAge, true
	case c.Targeted || len(h["Expires"]) == 0:
		return 0, false
	}
	// A malformed Expires is in the past (section 5.3).
	expires, ok := httprange.ParseDate(h["Expires"][0])
	if !ok {
		return 0, true
	}
	date, ok := httprange.DateOf(h, "Date")
	if !ok {
		date = time.Now()
	}
	return max(expires.Sub(date), 0), true
}

// Stale is how long a stale answer may be used: as long as the origin said, or else up to limit. It is negative if the origin
// demands revalidation (section 4.2.4; s-maxage does so by section 5.2.2.10). Zero or negative means not at all.
func (c Control) Stale(said, limit time.Duration) time.Duration {
	switch {
	case c.MustRevalidate, c.NoCache:
		return -1
	case said > 0:
		return said
	case said == 0, c.SMaxAge >= 0, limit == 0:
		return -1
	}
	return limit
}

// Made is when the origin made an answer that came now; asked is when it was requested (section 4.2.3). The wait counts only if
// another cache answered: an origin makes its answer when it sends it. A cache that sends the exact age of its answer needs no
// such correction.
func Made(h http.Header, asked, now time.Time) time.Time {
	if ms, err := strconv.ParseUint(h.Get(ExactAge), 10, 40); err == nil {
		return now.Add(-time.Duration(ms) * time.Millisecond)
	}
	lines := h["Age"]
	if len(lines) == 0 {
		return now
	}
	first, _, _ := strings.Cut(lines[0], ",")
	return now.Add(-seconds(strings.Trim(first, " \t")) - now.Sub(asked))
}
