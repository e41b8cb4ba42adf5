package corsmw

import (
	"net/http"
	"slices"
	"strings"
)

const (
	prefix      = "access-control-"
	allowOrigin = "Access-Control-Allow-Origin"
)

// maxVary is how many members Vary may have. Caches do not keep answers that depend on more.
const maxVary = 64

// strip removes every Access-Control-* field that differs from m's, in any spelling: a handler may write to the map itself. It
// reports whether all of m's fields are there.
func (m *Middleware) strip(h http.Header, origin string) bool {
	missing := 0
	if origin != "" {
		missing = 1 + len(m.granted)
	}
	for name, value := range h {
		switch {
		case len(name) <= len(prefix) || name[0]|0x20 != 'a' || !strings.EqualFold(name[:len(prefix)], prefix):
		case origin != "" && m.wants(name, value, origin):
			missing--
		default:
			delete(h, name)
		}
	}
	return missing == 0
}

func (m *Middleware) wants(name string, value []string, origin string) bool {
	if name == allowOrigin {
		return only(value, origin)
	}
	for _, f := range m.granted {
		if f.name == name {
			return only(value, f.value)
		}
	}
	return false
}

// These two values, which compressing handlers set, are answered without an allocation.
const (
	acceptEncoding = "Accept-Encoding"
	varyBoth       = varyOrigin + ", " + acceptEncoding
)

// mergeVary makes Vary one line with the members of own and those of h (RFC 9110 section 12.5.5).
func mergeVary(h http.Header, v *values, own string) {
	have := h["Vary"]
	switch {
	case only(have, own):
	case len(have) == 0:
		h["Vary"] = v.one(own)
	case own == varyOrigin && compressed(have):
		v.put(h, "Vary", varyBoth)
	default:
		h["Vary"] = []string{joinVary(own, have)} // as long as an origin likes: an array of several answers would hold it
	}
}

func compressed(have []string) bool {
	return only(have, acceptEncoding) || only(have, varyBoth) || len(have) == 2 && have[0] == varyOrigin && have[1] == acceptEncoding
}

// joinVary adds members of have to own that own lacks. An answer that varies by everything also varies by ours.
func joinVary(own string, have []string) string {
	members := strings.Split(own, ", ")
	for _, line := range have {
		for m := range strings.SplitSeq(line, ",") {
			switch m = strings.TrimSpace(m); {
			case m == "" || slices.ContainsFunc(members, func(o string) bool { return strings.EqualFold(o, m) }):
			case m == "*" || len(members) == maxVary:
				return "*"
			default:
				members = append(members, m)
			}
		}
	}
	return strings.Join(members, ", ")
}
