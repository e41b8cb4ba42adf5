package rules

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Control is the content of a Cache-Control field (RFC 9111 section 5.2.2). Durations are -1 if they are not given.
type Control struct {
	NoStore, NoCache, Private, Public bool
	MustRevalidate, MustUnderstand    bool
	Targeted                          bool // it is from CDN-Cache-Control
	MaxAge, SMaxAge                   time.Duration
	StaleIfError, StaleRevalidate     time.Duration // RFC 5861
}

// unsaid is the Control of a header without such a field.
var unsaid = Control{MaxAge: -1, SMaxAge: -1, StaleIfError: -1, StaleRevalidate: -1}

// ParseControl reads CDN-Cache-Control or, without that, Cache-Control.
func ParseControl(h http.Header) Control {
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

func (c *Control) set(name, value string) {
	switch strings.ToLower(name) {
	case "no-store":
		c.NoStore = true
	case "no-cache":
		// With field names it forbids less. A cache may read it as if it had none (section 5.2.2.4).
		c.NoCache = true
	case "private":
		c.Private = true
	case "public":
		c.Public = true
	case "must-revalidate", "proxy-revalidate":
		c.MustRevalidate = true
	case "must-understand":
		c.MustUnderstand = true
	case "max-age":
		c.MaxAge = shorter(c.MaxAge, value)
	case "s-maxage":
		c.SMaxAge = shorter(c.SMaxAge, value)
	case "stale-if-error":
		c.StaleIfError = shorter(c.StaleIfError, value)
	case "stale-while-revalidate":
		c.StaleRevalidate = shorter(c.StaleRevalidate, value)
	}
}

// shorter reads delta-seconds. If two contradict each other, the shorter counts. A malformed value is 0: an answer that is
// stale too early does less harm than one served too long (section 4.2.1).
func shorter(have time.Duration, value string) time.Duration {
	d := seconds(value)
	if have >= 0 {
		return min(have, d)
	}
	return d
}

// Longest is the age that means "for ever" (RFC 9111 section 1.2.2).
const Longest = 1 << 31 * time.Second

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
		return Longest
	}
	return time.Duration(n) * time.Second
}

func nextDirective(s string) (name, value, rest string) {
	member, rest := nextMember(s)
	name, value, _ = strings.Cut(member, "=")
	return strings.Trim(name, " \t"), strings.Trim(value, " \t"), rest
}

// nextMember cuts the first member off a list. Quoted strings may contain commas.
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
