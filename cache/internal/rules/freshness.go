package rules

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// ExactAge is the field in which one cache tells the next how many milliseconds old its answer is, since Age counts whole
// seconds.
const ExactAge = "Hlsproxy-Age"

// Lifetime is how long the origin says that its answer is fresh, counted from its making (RFC 9111 section 4.2.1). It is not ok
// when the origin says nothing.
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
	// An Expires that cannot be read is in the past (section 5.3).
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

// Stale is how long a stale answer may be used: as the origin has said, else the given limit, but never where it asks to be
// asked (section 4.2.4; s-maxage does so by section 5.2.2.10). Zero and less mean not at all.
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

// Made is when the origin made an answer that came now and was waited for since asked (section 4.2.3). The waiting counts only
// if another cache answered: an origin makes its answer when it sends it. A cache that says exactly how old its answer was when
// it went out needs no such allowance.
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
