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
		for all := (members{rest: line}); all.rest != ""; {
			name, value := all.directive()
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

// members are what is left of a list. A quoted string may contain commas and escaped quotes (RFC 9110 section 5.6.4). In a list
// with a string that has no end, every comma ends a member: such a string must not hide a directive that follows.
type members struct {
	rest string
	torn bool // there is a string without an end
}

func (m *members) directive() (name, value string) {
	name, value, _ = strings.Cut(m.next(), "=")
	return strings.Trim(name, " \t"), strings.Trim(value, " \t")
}

// next cuts off the first member.
func (m *members) next() string {
	end, quoted := 0, false
	for ; end < len(m.rest) && (quoted || m.rest[end] != ','); end++ {
		switch {
		case m.rest[end] == '"' && !m.torn:
			quoted = !quoted
		case m.rest[end] == '\\' && quoted:
			end++
		}
	}
	if quoted {
		m.torn = true
		return m.next()
	}
	member := strings.Trim(m.rest[:end], " \t")
	m.rest = m.rest[min(end+1, len(m.rest)):]
	return member
}
