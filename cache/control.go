package cache

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// control is what a Cache-Control field says (RFC 9111 section 5.2.2). Durations are -1 when not given.
type control struct {
	noStore, noCache, private, public bool
	mustRevalidate, mustUnderstand    bool
	targeted                          bool // it is from CDN-Cache-Control
	maxAge, sMaxAge                   time.Duration
	staleIfError, staleRevalidate     time.Duration // RFC 5861
}

// unsaid is what no field says.
var unsaid = control{maxAge: -1, sMaxAge: -1, staleIfError: -1, staleRevalidate: -1}

func parseControl(h http.Header) control {
	if c, ok := parseTargeted(h); ok {
		return c
	}
	c := unsaid
	for _, line := range h["Cache-Control"] {
		for line != "" {
			var name, value string
			name, value, line = nextDirective(line)
			c.set(name, strings.Trim(value, `"`))
		}
	}
	return c
}

func (c *control) set(name, value string) {
	switch strings.ToLower(name) {
	case "no-store":
		c.noStore = true
	case "no-cache":
		// With field names it forbids less; a cache may read it as if it had none (section 5.2.2.4).
		c.noCache = true
	case "private":
		c.private = true
	case "public":
		c.public = true
	case "must-revalidate", "proxy-revalidate":
		c.mustRevalidate = true
	case "must-understand":
		c.mustUnderstand = true
	case "max-age":
		c.maxAge = shorter(c.maxAge, value)
	case "s-maxage":
		c.sMaxAge = shorter(c.sMaxAge, value)
	case "stale-if-error":
		c.staleIfError = shorter(c.staleIfError, value)
	case "stale-while-revalidate":
		c.staleRevalidate = shorter(c.staleRevalidate, value)
	}
}

// shorter reads delta-seconds. Of two that contradict each other the shorter holds, and one that cannot be read is 0:
// an answer is better stale than served too long (section 4.2.1).
func shorter(have time.Duration, value string) time.Duration {
	d := seconds(value)
	if have >= 0 {
		return min(have, d)
	}
	return d
}

// longest is the age that stands for "for ever" (RFC 9111 section 1.2.2).
const longest = 1 << 31 * time.Second

func seconds(s string) time.Duration {
	if s == "" {
		return 0
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > 1<<31 {
		return longest
	}
	return time.Duration(n) * time.Second
}

func nextDirective(s string) (name, value, rest string) {
	member, rest := nextMember(s)
	name, value, _ = strings.Cut(member, "=")
	return strings.Trim(name, " \t"), strings.Trim(value, " \t"), rest
}

// nextMember cuts the first member off a list; what is quoted may hold commas.
func nextMember(s string) (member, rest string) {
	quoted := false
	for i := range len(s) {
		switch s[i] {
		case '"':
			quoted = !quoted
		case ',':
			if !quoted {
				return strings.Trim(s[:i], " \t"), s[i+1:]
			}
		}
	}
	return strings.Trim(s, " \t"), ""
}

// lifetime is how long the origin says that its answer is fresh, counted from its making (RFC 9111 section 4.2.1). It is
// not ok when the origin says nothing.
func lifetime(h http.Header, c control) (d time.Duration, ok bool) {
	switch {
	case c.noCache:
		return 0, true
	case c.sMaxAge >= 0:
		return c.sMaxAge, true
	case c.maxAge >= 0:
		return c.maxAge, true
	case c.targeted:
		return 0, false
	}
	lines := h["Expires"]
	if len(lines) == 0 {
		return 0, false
	}
	// An Expires that cannot be read is in the past (section 5.3).
	expires, err := http.ParseTime(lines[0])
	date, errDate := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0, true
	}
	if errDate != nil {
		date = time.Now()
	}
	return max(expires.Sub(date), 0), true
}

// since is when the origin made an answer that came now and for which was waited since asked (RFC 9111 section 4.2.3).
// The waiting counts only if another cache answered: an origin makes its answer when it sends it. Another Transport says exactly how
// old its answer was when it went out.
func since(h http.Header, asked, now time.Time) time.Time {
	if ms, err := strconv.ParseUint(h.Get(exactAgeField), 10, 40); err == nil {
		return now.Add(-time.Duration(ms) * time.Millisecond)
	}
	lines := h["Age"]
	if len(lines) == 0 {
		return now
	}
	first, _, _ := strings.Cut(lines[0], ",")
	return now.Add(-seconds(strings.Trim(first, " \t")) - now.Sub(asked))
}
