package origin

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

var errPartial = &statusError{status: http.StatusBadGateway, text: "upstream sent other bytes than it was asked for"}

var contentRange = regexp.MustCompile(`^(?i:bytes) ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)$`)

// span is a Content-Range. The size is -1 if unknown.
type span struct{ first, last, size int64 }

func parseContentRange(h http.Header) (s span, ok bool) {
	m := contentRange.FindStringSubmatch(h.Get("Content-Range"))
	if m == nil || len(h["Content-Range"]) != 1 {
		return span{}, false
	}
	s.first, _ = strconv.ParseInt(m[1], 10, 64)
	s.last, _ = strconv.ParseInt(m[2], 10, 64)
	s.size = -1
	if m[3] != "*" {
		s.size, _ = strconv.ParseInt(m[3], 10, 64)
	}
	return s, s.first <= s.last && (s.size < 0 || s.last < s.size)
}

// checkPartial refuses a 206 that nobody asked for or that holds other bytes than asked for (RFC 9110 section 15.3.7):
// a player would take them for the right ones.
func checkPartial(resp *http.Response, sent *http.Request) error {
	if resp.StatusCode != http.StatusPartialContent {
		return nil
	}
	asked := sent.Header.Get("Range")
	s, ok := parseContentRange(resp.Header)
	if asked == "" || !ok || resp.ContentLength >= 0 && sent.Method != http.MethodHead && resp.ContentLength != s.last-s.first+1 {
		return errPartial
	}
	first, last, _ := strings.Cut(asked[len("bytes="):], "-")
	if first == "" {
		n, _ := strconv.ParseInt(last, 10, 64)
		if s.size >= 0 && (s.last != s.size-1 || s.first != max(0, s.size-n)) {
			return errPartial
		}
		return nil
	}
	from, _ := strconv.ParseInt(first, 10, 64)
	to, err := strconv.ParseInt(last, 10, 64)
	if s.first != from || last != "" && err == nil && s.last > to {
		return errPartial
	}
	return nil
}
