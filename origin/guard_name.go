package origin

import "strings"

// localNames are the top-level names that stand for something near, or for nothing at all (RFC 6761, RFC 6762,
// RFC 7686, RFC 8375, RFC 9476, and the name that ICANN keeps for private use).
var localNames = []string{"local", "internal", "localdomain", "home.arpa", "onion", "alt", "invalid"}

// loopbackNames are localhost (RFC 6761 section 6.3) and its spellings in common hosts files.
var loopbackNames = []string{"localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"}

// canonicalName lowers a host name and takes its final dot. It is false for what is not letters, digits, hyphens
// (RFC 1123 section 2.1) and underscores, which the DNS serves all the same (RFC 2181 section 11), and for what some
// resolver might read as a number: 127.1, 0x7f.1, 2130706433.
func canonicalName(host string) (string, bool) {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "" || len(host) > 253 {
		return "", false
	}
	last := ""
	for label := range strings.SplitSeq(host, ".") {
		if !isLabel(label) {
			return "", false
		}
		last = label
	}
	return host, !isNumber(last)
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// isNumber is the rule by which browsers tell numbers from names: digits, or 0x and hexadecimal digits.
func isNumber(label string) bool {
	digits := "0123456789"
	if rest, hex := strings.CutPrefix(label, "0x"); hex {
		label, digits = rest, "0123456789abcdef"
	}
	return strings.Trim(label, digits) == ""
}

// under reports whether a canonical name is one of the names or below one.
func under(name string, names []string) bool {
	for _, n := range names {
		if rest, ok := strings.CutSuffix(name, n); ok && (rest == "" || strings.HasSuffix(rest, ".")) {
			return true
		}
	}
	return false
}

// named reports whether an entry of Hosts means this host. Both are canonical.
func named(hosts []string, host string) bool {
	for _, pattern := range hosts {
		if suffix, wild := strings.CutPrefix(pattern, "*"); wild && len(host) > len(suffix) && strings.HasSuffix(host, suffix) || pattern == host {
			return true
		}
	}
	return false
}
