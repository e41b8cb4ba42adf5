package corsmw

import (
	"net/http"
	"strings"
)

const (
	prefix      = "access-control-"
	allowOrigin = "Access-Control-Allow-Origin"
)

// strip removes every Access-Control-* field that is not as m wants it, however it is spelled: a handler may write to the
// map itself. It reports whether all that m wants is there.
func (m *Middleware) strip(h http.Header, origin []string) bool {
	missing := 0
	if origin != nil {
		missing = 1 + len(m.granted)
	}
	for name, value := range h {
		switch {
		case len(name) <= len(prefix) || name[0]|0x20 != 'a' || !strings.EqualFold(name[:len(prefix)], prefix):
		case origin != nil && m.wants(name, value, origin):
			missing--
		default:
			delete(h, name)
		}
	}
	return missing == 0
}

func (m *Middleware) wants(name string, value, origin []string) bool {
	if name == allowOrigin {
		return only(value, origin[0])
	}
	for _, f := range m.granted {
		if f.name == name {
			return only(value, f.value[0])
		}
	}
	return false
}

// The two that a compressing handler leaves behind are answered without building a string.
var (
	acceptEncoding = "Accept-Encoding"
	varyBoth       = []string{"Origin, Accept-Encoding"}
)

// mergeVary makes Vary one line with the members of own and those that h already has (RFC 9110, 12.5.5).
func mergeVary(h http.Header, own []string) {
	have := h["Vary"]
	switch {
	case only(have, own[0]):
	case len(have) == 0:
		h["Vary"] = own
	case own[0] == varyOrigin[0] && compressed(have):
		h["Vary"] = varyBoth
	default:
		h["Vary"] = joinVary(own[0], have)
	}
}

func compressed(have []string) bool {
	return only(have, acceptEncoding) || only(have, varyBoth[0]) || len(have) == 2 && have[0] == varyOrigin[0] && have[1] == acceptEncoding
}

func joinVary(own string, have []string) []string {
	members := own
	for _, line := range have {
		for m := range strings.SplitSeq(line, ",") {
			switch m = strings.TrimSpace(m); {
			case m == "*":
				return star // an answer that varies by everything varies by ours too
			case m != "" && !contains(members, m):
				members += ", " + m
			}
		}
	}
	return []string{members}
}

func contains(list, member string) bool {
	for m := range strings.SplitSeq(list, ", ") {
		if strings.EqualFold(m, member) {
			return true
		}
	}
	return false
}
