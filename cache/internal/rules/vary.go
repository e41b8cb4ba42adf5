package rules

import (
	"net/http"
	"slices"
	"strings"
)

// maxVary is the number of fields that a stored answer may vary by, because each hit compares them all.
const maxVary = 64

// VaryOf returns the request fields that an answer's Vary names, with their values in sent, except those in alike, which are
// the same in all requests. Nil: there are none. ok is false if the answer varies by more than fields, or by too many.
func VaryOf(answer, sent http.Header, alike []string) (fields http.Header, ok bool) {
	for _, line := range answer["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.Trim(name, " \t"))
			switch {
			case name == "*":
				return nil, false
			case name == "" || slices.Contains(alike, name):
				continue
			}
			if fields == nil {
				fields = http.Header{}
			}
			if _, known := fields[name]; !known && len(fields) == maxVary {
				return nil, false
			}
			fields[name] = slices.Clone(sent[name])
		}
	}
	return fields, true
}

// Selects reports whether a request with this header has the fields that vary holds (RFC 9111 section 4.1).
func Selects(header, vary http.Header) bool {
	for name, sent := range vary {
		if Combined(header[name]) != Combined(sent) {
			return false
		}
	}
	return true
}

// Combined is a field as one list in one line, without the blanks around its commas, which have no meaning (RFC 9111 section
// 4.1).
func Combined(lines []string) string {
	rest := strings.Join(lines, ",")
	if !strings.Contains(rest, ",") {
		return strings.Trim(rest, " \t")
	}
	var out strings.Builder
	for all := (members{rest: rest}); all.rest != ""; {
		out.WriteString(all.next() + ",")
	}
	return out.String()
}
