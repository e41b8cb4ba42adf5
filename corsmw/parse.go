package corsmw

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/wire"
)

func (m *Middleware) setOrigins(c Config) error {
	m.origins.exact = make(map[string]struct{}, len(c.Origins))
	var errs []error
	if len(c.Origins) == 0 {
		errs = append(errs, fault("Origins", "", `is empty: list the pages that may read, or "*" for all`))
	}
	for _, s := range c.Origins {
		if reason := m.addOrigin(c, s); reason != "" {
			errs = append(errs, fault("Origins", s, reason))
		}
	}
	return errors.Join(errs...)
}

// addOrigin adds s. It returns what is wrong with s, "" if nothing is.
func (m *Middleware) addOrigin(c Config, s string) string {
	switch {
	case s == "*" && c.Credentials:
		return "with Credentials would let every page act for its visitors: list the pages"
	case s == "*" && len(c.Origins) > 1:
		return "makes the other origins meaningless: remove it or them"
	case s == "*":
		m.any = true
		return ""
	case isNobody(s) && c.Credentials:
		return "with Credentials would let any sandboxed frame or local file act for its visitors"
	case isNobody(s) && !c.DangerouslyAllowNull:
		return "is the origin of any sandboxed frame or local file, whoever wrote it"
	case isNobody(s):
		m.origins.exact[s] = struct{}{}
		return ""
	}
	p, reason := parse(s)
	if reason == "" {
		reason = p.danger(c)
	}
	if reason != "" {
		return reason
	}
	if p.depth == 0 && p.port != anyPort {
		m.origins.exact[s] = struct{}{}
	} else {
		m.origins.patterns = append(m.origins.patterns, p)
	}
	return ""
}

// isNobody reports whether s is the Origin of sandboxed frames or local files. Some web views send the scheme for files.
func isNobody(s string) bool { return s == "null" || s == "file://" }

// isApp reports whether only an app can have pages with this scheme. Such a host need not be a real one: app://. is valid.
func isApp(scheme string) bool { return scheme != "http" && scheme != "https" }

// isAppHost reports whether s is a host with its port as web views send it. It may be empty.
func isAppHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && (c < 'A' || c > 'Z') && strings.IndexByte("-._~!$&'()+,;=%:[]", c) < 0 {
			return false
		}
	}
	return len(s) <= maxHost
}

// parse splits an origin, with or without wildcards, and refuses any that no browser sends.
func parse(s string) (p pattern, reason string) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || !isScheme(scheme) {
		return p, "does not begin with a scheme in lower case and ://"
	}
	p.scheme = scheme + "://"
	if isApp(scheme) && isAppHost(rest) {
		p.host = rest
		return p, ""
	}
	if strings.ContainsAny(rest, "/?#@\\") {
		return p, "has more than scheme, host and port: browsers send no path, not even a final /"
	}
	if rest, ok = strings.CutSuffix(rest, anyPort); ok {
		p.port = anyPort
	} else if i := strings.LastIndexByte(rest, ':'); i >= 0 && !strings.HasSuffix(rest, "]") {
		rest, p.port = rest[:i], rest[i:]
		if !isPort(p.port[1:]) {
			return p, "has a port that is not a number from 1 to 65535, nor *"
		}
		if p.port[1:] == defaultPort(p.scheme) {
			return p, "names the default port, which browsers leave out"
		}
	}
	return p.withHost(rest)
}

func (p pattern) withHost(host string) (pattern, string) {
	if rest, ok := strings.CutPrefix(host, "**"); ok {
		p.depth, host = deep, rest
	} else if rest, ok := strings.CutPrefix(host, "*"); ok {
		p.depth, host = 1, rest
	}
	p.host = host
	if p.depth != 0 {
		if !strings.HasPrefix(host, ".") || strings.Contains(host, "*") {
			return p, "has a * that is not all that stands before the first dot"
		}
		host = host[1:]
	}
	switch {
	case strings.Contains(host, "*"):
		return p, "has a * that is not all that stands before the first dot"
	case isAddress(host) && p.depth != 0:
		return p, "is a pattern of addresses, which have no order of names"
	case isAddress(host):
		return p, ""
	case !isName(host) || len(host) > maxHost || wire.EndsInNumber(host): // isAddress has refused the number
		return p, "has a host that no browser spells so: lower case, xn-- for other scripts, addresses in their short form"
	}
	return p, ""
}

// isAddress reports whether host is an IP address in the form of the URL standard.
func isAddress(host string) bool {
	if in, ok := strings.CutPrefix(host, "["); ok {
		in, ok = strings.CutSuffix(in, "]")
		a, err := netip.ParseAddr(in)
		return ok && err == nil && a.Is6() && a.Zone() == "" && a.String() == in
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Is4()
}

func isScheme(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '+' && c != '-' && c != '.' {
			return false
		}
	}
	return s != "" && !isDigit(s[0])
}
