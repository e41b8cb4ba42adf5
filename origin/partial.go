package origin

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

var errPartial = &statusError{status: http.StatusBadGateway, text: "upstream sent other bytes than it was asked for"}

// span is a Content-Range. The size is -1 if unknown.
type span struct{ first, last, size int64 }

func parseContentRange(h http.Header) (s span, ok bool) {
	const unit = "bytes "
	lines := h["Content-Range"]
	if len(lines) != 1 || len(lines[0]) < len(unit) || !strings.EqualFold(lines[0][:len(unit)], unit) {
		return span{}, false
	}
	part, size, _ := strings.Cut(lines[0][len(unit):], "/")
	first, last, _ := strings.Cut(part, "-")
	s.size = -1
	ok = number(&s.first, first) && number(&s.last, last) && (size == "*" || number(&s.size, size))
	return s, ok && s.first <= s.last && (s.size < 0 || s.last < s.size)
}

// number reads up to 18 digits.
func number(n *int64, digits string) (ok bool) {
	if digits == "" || !areDigits(digits, 18) {
		return false
	}
	*n, _ = strconv.ParseInt(digits, 10, 64)
	return true
}

// checkPartial refuses a 206 that nobody asked for or that holds other bytes than asked for (RFC 9110 section 15.3.7):
// a player would take them for the right ones. It counts those of a body that does not say how many there are.
func (f *fetch) checkPartial(resp *http.Response) error {
	if resp.StatusCode != http.StatusPartialContent {
		return nil
	}
	sent := f.sent
	lines := sent.Header["Range"]
	s, ok := parseContentRange(resp.Header)
	if len(lines) != 1 || !ok || resp.ContentLength >= 0 && sent.Method != http.MethodHead && resp.ContentLength != s.last-s.first+1 {
		return errPartial
	}
	if resp.ContentLength < 0 && sent.Method != http.MethodHead {
		resp.Body = &exactBody{resp.Body, s.last - s.first + 1}
	}
	first, last, _ := oneRange(lines[0])
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

// exactBody is a body of so many bytes. One with less or more is broken.
type exactBody struct {
	io.ReadCloser
	left int64
}

func (b *exactBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		return 0, errPartial
	}
	if b.left -= int64(n); err == io.EOF && b.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
