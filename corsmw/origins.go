package corsmw

import (
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// origins decides whether an Origin is configured.
type origins struct {
	exact    map[string]struct{}
	patterns []pattern
}

// pattern is an origin with a wildcard.
type pattern struct {
	scheme string // with ://
	host   string // the part after the wildcard, with its dot; the whole host if depth is 0
	depth  int    // labels that the wildcard covers: 0 none, 1 one, deep any number
	port   string // with its colon, or anyPort
}

const (
	deep    = -1
	anyPort = ":*"
)

func (o *origins) match(origin string) bool {
	if _, ok := o.exact[origin]; ok {
		return true
	}
	for i := range o.patterns {
		if o.patterns[i].match(origin) {
			return true
		}
	}
	return false
}

func (p *pattern) match(origin string) bool {
	rest, ok := strings.CutPrefix(origin, p.scheme)
	if !ok || len(rest) > maxHost+len(":65535") {
		return false
	}
	if p.port == anyPort {
		rest, ok = cutPort(rest, p.scheme)
	} else {
		rest, ok = strings.CutSuffix(rest, p.port)
	}
	if !ok || p.depth == 0 {
		return ok && rest == p.host
	}
	below, ok := strings.CutSuffix(rest, p.host)
	if !ok || p.depth == 1 && strings.IndexByte(below, '.') >= 0 {
		return false
	}
	return isName(below) && len(rest) <= maxHost
}

// cutPort removes the port from host[:port]. It returns false for a port that no browser sends, such as the default one (Fetch,
// section 3.1; HTML, serialization of an origin).
func cutPort(s, scheme string) (string, bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.HasSuffix(s, "]") {
		return s, true
	}
	return s[:i], isPort(s[i+1:]) && s[i+1:] != defaultPort(scheme)
}

// defaultPort is that of a scheme with ://.
func defaultPort(scheme string) string { return wire.DefaultPort(strings.TrimSuffix(scheme, "://")) }

func isPort(s string) bool {
	_, ok := wire.ParsePort(s)
	return ok
}

const maxHost = 253

// isName reports whether s consists of labels of a host name in the browsers' form: lower case, international names in ASCII.
func isName(s string) bool {
	label := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if label == 0 {
				return false
			}
			label = 0
			continue
		case !isAlnum(c) && c != '-' && c != '_':
			return false
		}
		if label++; label > 63 {
			return false
		}
	}
	return label > 0
}
