package httprange

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// MakeWhole turns a 206 that holds the whole body into a 200, as players treat it, whether a part was requested or not. It
// reports whether the answer is now a whole one. The length in the Content-Range then binds. If no part was requested, the
// answer is the whole unless it says otherwise.
func MakeWhole(resp *http.Response) bool {
	if resp.StatusCode != http.StatusPartialContent {
		return true
	}
	size, ok := wholeSize(resp)
	if !ok || size >= 0 && resp.ContentLength >= 0 && resp.ContentLength != size && !bodiless(resp) {
		return false
	}
	resp.StatusCode, resp.Status = http.StatusOK, "200 OK"
	resp.Header.Del("Content-Range")
	if size < 0 || resp.ContentLength == size {
		return true
	}
	if resp.ContentLength < 0 && !bodiless(resp) {
		resp.Body = Exact(resp.Body, size)
	}
	resp.ContentLength = size
	resp.Header.Set("Content-Length", strconv.FormatInt(size, 10))
	return true
}

// wholeSize is how many bytes a 206 with the whole body has; it may be Unknown. ok is false for a part.
func wholeSize(resp *http.Response) (size int64, ok bool) {
	unasked := resp.Request != nil && len(resp.Request.Header["Range"]) == 0 && !isMultipart(resp)
	c, ok := ParseContentRange(resp.Header)
	switch {
	case ok && c.Size >= 0:
		return c.Size, c.First == 0 && c.Last == c.Size-1
	case ok:
		return c.Last + 1, unasked && c.First == 0
	case !unasked:
		return Unknown, false
	}
	return Unknown, saysNothing(resp.Header["Content-Range"], resp.ContentLength)
}

// saysNothing reports whether malformed fields are consistent with a whole body of this length. Either they contain no number.
// Or their greatest number is the length or the last position, and they begin at zero or contain no other number.
func saysNothing(lines []string, length int64) bool {
	first, most, n := int64(-1), int64(-1), 0
	for _, line := range lines {
		for line = trimToDigit(line); line != ""; line = trimToDigit(line) {
			var digits string
			digits, line = cutDigits(line)
			if n++; n == 1 {
				first = number(digits)
			}
			most = max(most, number(digits))
		}
	}
	return n == 0 || length >= 0 && (most == length || most == length-1) && (first == 0 || n == 1)
}

func trimToDigit(s string) string {
	return strings.TrimLeftFunc(s, func(c rune) bool { return c < '0' || c > '9' })
}

func isMultipart(resp *http.Response) bool {
	return strings.HasPrefix(strings.ToLower(resp.Header.Get("Content-Type")), "multipart/")
}

// Mend corrects the status and the Content-Range of a part, if its length and the request leave no doubt: a 206 whose
// Content-Range is missing or misspelt, and a 200 that names a part in it.
func Mend(resp *http.Response) {
	if resp.Request == nil || resp.StatusCode != http.StatusPartialContent && (resp.StatusCode != http.StatusOK || len(resp.Header["Content-Range"]) == 0) {
		return
	}
	field, _ := Asked(resp.Request)
	asked, ok := ParseOne(field)
	if !ok || isMultipart(resp) {
		return
	}
	c, said := ParseContentRange(resp.Header)
	switch {
	case resp.StatusCode == http.StatusOK:
		if !said || !c.Answers(asked) || c.Length() != resp.ContentLength || c.First == 0 && c.Last == c.Size-1 {
			return
		}
		resp.StatusCode, resp.Status = http.StatusPartialContent, "206 Partial Content"
	case !said && len(resp.Header["Content-Range"]) == 0:
		if c = (ContentRange{First: asked.First, Last: asked.Last, Size: Unknown}); !asked.Bounded() || c.Length() != resp.ContentLength {
			return
		}
	case !said:
		return
	}
	var buf [64]byte
	if lines, field := resp.Header["Content-Range"], c.Append(buf[:0]); len(lines) != 1 || lines[0] != string(field) {
		resp.Header["Content-Range"] = []string{string(field)}
	}
}

func bodiless(resp *http.Response) bool {
	return resp.Request != nil && resp.Request.Method == http.MethodHead
}

// ErrLength is the error of a body that is longer than declared.
var ErrLength = errors.New("body is longer than was announced")

// Exact is a body of n bytes. If it has fewer or more, it breaks.
func Exact(body io.ReadCloser, n int64) io.ReadCloser { return &exact{body, n} }

type exact struct {
	io.ReadCloser
	left int64
}

func (b *exact) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		return 0, ErrLength
	}
	if b.left -= int64(n); err == io.EOF && b.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
