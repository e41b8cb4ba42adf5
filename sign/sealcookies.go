package sign

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// cookie is one that an origin has set.
type cookie struct {
	name, value  string
	domain, path string
	hostOnly     bool
	secure       bool
}

// pair is what is sent. Without a name it is the value alone.
func (c *cookie) pair() string {
	if c.name == "" {
		return c.value
	}
	return c.name + "=" + c.value
}

// sentName is the name that a server reads. A cookie without one is read like one that has it.
func (c *cookie) sentName() string {
	name, _, _ := strings.Cut(c.pair(), "=")
	return name
}

func (c cookie) flags() string {
	flags := ""
	if c.hostOnly {
		flags += "h"
	}
	if c.secure {
		flags += "s"
	}
	return flags
}

func (c cookie) withFlags(flags string) cookie {
	c.hostOnly, c.secure = strings.Contains(flags, "h"), strings.Contains(flags, "s")
	return c
}

// jar holds the cookies of a visit.
type jar struct {
	takes bool

	mu      sync.Mutex
	cookies []cookie
}

const (
	mostJarCookies = 16
	mostJarBytes   = 2 << 10
)

// take keeps what an answer to a request for u sets (RFC 6265, section 5.3). What does not fit is not kept. Whoever can answer
// in the name of an http server neither sets nor replaces what is for https alone (RFC 6265bis, section 5.7).
func (j *jar) take(u *url.URL, lines []string) {
	if !j.takes || len(lines) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	cookies := slices.Clone(j.cookies)
	for _, line := range lines {
		c, gone, ok := parseSetCookie(line, u)
		if !ok || u.Scheme != "https" && (c.secure || slices.ContainsFunc(cookies, c.hides)) {
			continue
		}
		cookies = slices.DeleteFunc(cookies, func(o cookie) bool { return o.name == c.name && o.domain == c.domain && o.path == c.path })
		if !gone {
			cookies = append(cookies, c)
		}
	}
	size := 0
	for _, c := range cookies {
		size += len(c.name) + len(c.value) + len(c.domain) + len(c.path)
	}
	if len(cookies) <= mostJarCookies && size <= mostJarBytes {
		j.cookies = cookies
	}
}

// hides reports whether a server may take c for another cookie that is for https alone.
func (c *cookie) hides(o cookie) bool {
	related := c.domain == o.domain || strings.HasSuffix(c.domain, "."+o.domain) || strings.HasSuffix(o.domain, "."+c.domain)
	return o.secure && c.sentName() == o.sentName() && related && matchesPath(c.path, o.path)
}

// isBelow reports whether a host may set cookies for a domain above it.
func isBelow(host, domain string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	return strings.HasSuffix(host, "."+domain) && !isEverybodys(domain)
}

// isEverybodys reports whether names below a domain belong to different people: those of one label, and those of two labels
// under which countries usually sell names. There are others, but only the Public Suffix List knows them all.
func isEverybodys(domain string) bool {
	name, country, found := strings.Cut(strings.TrimSuffix(domain, "."), ".")
	if !found || len(country) != 2 {
		return !found
	}
	switch name {
	case "ac", "co", "com", "edu", "go", "gob", "gov", "gv", "in", "mil", "ne", "net", "nom", "or", "org", "sch":
		return true
	}
	return false
}

func (j *jar) all() []cookie {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.cookies
}

// line is the Cookie field of a request for u, with those of before that the jar does not replace; nothing if the jar has none
// for u. Many servers read the first cookie of a name, so those with longer paths go first.
func (j *jar) line(before []string, u *url.URL) string {
	var pairs, names []string
	cookies := slices.Clone(j.all())
	slices.SortStableFunc(cookies, func(a, b cookie) int { return len(b.path) - len(a.path) })
	for _, c := range cookies {
		if c.goesTo(u) {
			pairs, names = append(pairs, c.pair()), append(names, c.sentName())
		}
	}
	if len(pairs) == 0 {
		return ""
	}
	for name, pair := range cookiePairs(before) {
		if !slices.Contains(names, name) {
			pairs = append(pairs, pair)
		}
	}
	return strings.Join(pairs, "; ")
}

// goesTo is RFC 6265, section 5.4.
func (c *cookie) goesTo(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	if host != c.domain && (c.hostOnly || !strings.HasSuffix(host, "."+c.domain)) || c.secure && u.Scheme != "https" {
		return false
	}
	path := u.Path
	if path == "" {
		path = "/"
	}
	return matchesPath(path, c.path)
}

// matchesPath is RFC 6265, section 5.1.4.
func matchesPath(path, cookiePath string) bool {
	return path == cookiePath || strings.HasPrefix(path, strings.TrimSuffix(cookiePath, "/")+"/")
}
