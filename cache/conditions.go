package cache

import (
	"net/http"
	"strings"
	"time"
)

// precondition judges the conditions of a request against the validators of a 200 (RFC 9110 section 13.2.2): 0 if the
// request goes on, else 304 or 412.
func precondition(r *http.Request, h http.Header) int {
	if !isConditional(r.Header) {
		return 0
	}
	tag, modified := validators(h)
	if lines := r.Header["If-Match"]; len(lines) > 0 {
		if !matches(lines, tag, true) {
			return http.StatusPreconditionFailed
		}
	} else if at, ok := date(r.Header, "If-Unmodified-Since"); ok && !modified.IsZero() && modified.After(at) {
		return http.StatusPreconditionFailed
	}
	if lines := r.Header["If-None-Match"]; len(lines) > 0 {
		if matches(lines, tag, false) {
			return http.StatusNotModified
		}
	} else if at, ok := date(r.Header, "If-Modified-Since"); ok {
		if modified.IsZero() {
			modified, _ = date(h, "Date") // RFC 9111 section 4.3.2
		}
		if !modified.IsZero() && !modified.After(at) {
			return http.StatusNotModified
		}
	}
	return 0
}

func isConditional(h http.Header) bool {
	return len(h["If-Match"]) > 0 || len(h["If-None-Match"]) > 0 || len(h["If-Modified-Since"]) > 0 ||
		len(h["If-Unmodified-Since"]) > 0
}

// ifRange tells whether a Range may be honoured: there is no If-Range, or it holds by strong comparison (section 13.1.5).
func ifRange(request, h http.Header) bool {
	lines := request["If-Range"]
	if len(lines) == 0 {
		return true
	}
	field := strings.Trim(lines[0], " \t")
	if strings.HasPrefix(field, `"`) {
		tag, _ := validators(h)
		return tag == field
	}
	at, err := http.ParseTime(field)
	name, modified := strongValidator(http.Header{"Last-Modified": h["Last-Modified"], "Date": h["Date"]})
	if err != nil || name == "" {
		return false
	}
	same, err := http.ParseTime(modified)
	return err == nil && at.Equal(same)
}

func validators(h http.Header) (tag string, modified time.Time) {
	modified, _ = date(h, "Last-Modified")
	return h.Get("Etag"), modified
}

func date(h http.Header, name string) (time.Time, bool) {
	lines := h[name]
	if len(lines) != 1 {
		return time.Time{}, false
	}
	t, err := http.ParseTime(lines[0])
	return t, err == nil
}

// matches compares a list of entity tags with that of the answer (section 8.8.3.2). A "*" matches whatever there is.
func matches(lines []string, tag string, strong bool) bool {
	for _, line := range lines {
		for rest := line; ; {
			rest = strings.TrimLeft(rest, " \t,")
			if rest == "" {
				break
			}
			if rest[0] == '*' {
				return true
			}
			var one string
			if one, rest = nextTag(rest); one == "" {
				break
			}
			if strong && one == tag && !strings.HasPrefix(tag, "W/") {
				return true
			}
			if !strong && tag != "" && strings.TrimPrefix(one, "W/") == strings.TrimPrefix(tag, "W/") {
				return true
			}
		}
	}
	return false
}

// nextTag cuts an entity tag off a list; "" if there is none.
func nextTag(s string) (tag, rest string) {
	start := 0
	if strings.HasPrefix(s, "W/") {
		start = 2
	}
	if len(s) <= start || s[start] != '"' {
		return "", ""
	}
	end := strings.IndexByte(s[start+1:], '"')
	if end < 0 {
		return "", ""
	}
	end += start + 2
	return s[:end], s[end:]
}
