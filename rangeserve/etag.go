package rangeserve

import "strings"

// cutETag takes the first entity tag off a list (RFC 9110 section 8.8.3), or gives "" where none stands.
func cutETag(list string) (tag, rest string) {
	s := trimOWS(list)
	start := 0
	if strings.HasPrefix(s, "W/") {
		start = 2
	}
	if len(s) < start+2 || s[start] != '"' {
		return "", ""
	}
	for i := start + 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[:i+1], s[i+1:]
		case c < 0x21 || c == 0x7f:
			return "", ""
		}
	}
	return "", ""
}

// validETag reports whether s is one entity tag and nothing else.
func validETag(s string) bool {
	tag, _ := cutETag(s)
	return tag != "" && tag == s
}

func strong(tag string) bool { return tag != "" && tag[0] == '"' }

func opaque(tag string) string { return strings.TrimPrefix(tag, "W/") }

// listed reports whether a list of entity tags, or "*", names tag. The list may stand on several header lines. What
// follows a member that is no entity tag is not read.
func listed(lines []string, tag string, same func(a, b string) bool) bool {
	for _, list := range lines {
		if trimOWS(list) == "*" {
			return true
		}
		for list != "" {
			if list = trimOWS(list); list != "" && list[0] == ',' {
				list = list[1:]
				continue
			}
			var t string
			if t, list = cutETag(list); t != "" && same(t, tag) {
				return true
			}
		}
	}
	return false
}

// sameStrong is the strong comparison of RFC 9110 section 8.8.3.2.
func sameStrong(a, b string) bool { return strong(a) && a == b }

// sameWeak is the weak one.
func sameWeak(a, b string) bool { return a != "" && opaque(a) == opaque(b) }
