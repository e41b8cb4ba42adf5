package cache

import (
	"net/http"
	"slices"
	"strings"
)

// varyOf returns the request fields that an answer's Vary names, with what was sent in sent, but for those that fills
// always send alike; nil if there are none. It is not ok for an answer that varies by more than fields.
func varyOf(answer, sent http.Header) (fields http.Header, ok bool) {
	for _, line := range answer["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.Trim(name, " \t"))
			switch name {
			case "", "Accept-Encoding":
				continue
			case "*":
				return nil, false
			}
			if slices.Contains(viewerFields[:], name) {
				continue
			}
			if fields == nil {
				fields = http.Header{}
			}
			fields[name] = slices.Clone(sent[name])
		}
	}
	return fields, true
}

// varies tells whether r would be asked with the same fields as the answer that vary comes from (RFC 9111 section 4.1).
func varies(vary http.Header, r *http.Request) bool {
	for name, sent := range vary {
		if combined(r.Header[name]) != combined(sent) {
			return false
		}
	}
	return true
}

// combined is a field as one list in one line, without the blanks around its commas, which say nothing (RFC 9111 section
// 4.1).
func combined(lines []string) string {
	rest := strings.Join(lines, ",")
	if !strings.Contains(rest, ",") {
		return strings.Trim(rest, " \t")
	}
	var out strings.Builder
	for rest != "" {
		var member string
		member, rest = nextMember(rest)
		out.WriteString(member + ",")
	}
	return out.String()
}
