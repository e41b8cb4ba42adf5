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
		if strings.Join(r.Header[name], ",") != strings.Join(sent, ",") {
			return false
		}
	}
	return true
}
