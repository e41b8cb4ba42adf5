package httprange

import "strings"

// CutETag cuts the first entity tag off a list (RFC 9110 section 8.8.3). It returns "" if the list does not begin with one.
func CutETag(list string) (tag, rest string) {
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

// ValidETag reports whether s is one entity tag and nothing else.
func ValidETag(s string) bool {
	tag, _ := CutETag(s)
	return tag != "" && tag == s
}

// StrongETag reports whether s is one entity tag, and a strong one (RFC 9110 section 8.8.1).
func StrongETag(s string) bool { return s != "" && s[0] == '"' && ValidETag(s) }

// SameStrong is the strong comparison of RFC 9110 section 8.8.3.2.
func SameStrong(a, b string) bool { return a == b && StrongETag(a) }

// SameWeak is the weak comparison.
func SameWeak(a, b string) bool {
	return strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/") && ValidETag(a) && ValidETag(b)
}

// Lists reports whether the lines of If-Match (strong) or If-None-Match (weak) name the tag of a representation. A single "*"
// matches any. A malformed member ends its line; the members before it count.
func Lists(lines []string, tag string, same func(a, b string) bool) bool {
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
			if t, list = CutETag(list); t != "" && same(t, tag) {
				return true
			}
		}
	}
	return false
}
