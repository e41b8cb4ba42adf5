package httprange

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// MakeWhole makes a 200 of a 206 that holds the whole body, asked for or not, as players take it for one. It reports
// whether the answer is not one of a part, now. The length that the Content-Range gives is held.
func MakeWhole(resp *http.Response) bool {
	if resp.StatusCode != http.StatusPartialContent {
		return true
	}
	if unasked(resp) {
		resp.StatusCode, resp.Status = http.StatusOK, "200 OK"
		return true
	}
	c, ok := ParseContentRange(resp.Header)
	if !ok || c.First != 0 || c.Size < 0 || c.Last != c.Size-1 || resp.ContentLength >= 0 && resp.ContentLength != c.Size && !bodiless(resp) {
		return false
	}
	if resp.ContentLength < 0 && !bodiless(resp) {
		resp.Body = Exact(resp.Body, c.Size)
	}
	resp.StatusCode, resp.Status = http.StatusOK, "200 OK"
	resp.Header.Del("Content-Range")
	if resp.ContentLength != c.Size {
		resp.ContentLength = c.Size
		resp.Header.Set("Content-Length", strconv.FormatInt(c.Size, 10))
	}
	return true
}

// unasked tells whether a 206 answers a request without a Range and says of no range: there is nothing that it could be but
// the whole.
func unasked(resp *http.Response) bool {
	return resp.Request != nil && len(resp.Request.Header["Range"]) == 0 && len(resp.Header["Content-Range"]) == 0 &&
		!strings.HasPrefix(strings.ToLower(resp.Header.Get("Content-Type")), "multipart/")
}

func bodiless(resp *http.Response) bool {
	return resp.Request != nil && resp.Request.Method == http.MethodHead
}

// ErrLength is the error of a body that is longer than was announced.
var ErrLength = errors.New("body is longer than was announced")

// Exact is a body of n bytes. One with less or more breaks.
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
