package origin

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// resumeBody goes on where a body broke, with bytes that are sure to be of the same version.
type resumeBody struct {
	pool *Pool
	head *http.Response // what the caller has
	at   int64          // the next byte, counted from the start of the whole
	want span

	mu      sync.Mutex // guards what Close needs while Read is under way
	body    io.ReadCloser
	closed  bool
	resumed bool
}

// resumable makes a body go on after it breaks, if the answer says enough to tell that what follows fits.
func resumable(p *Pool, resp *http.Response) {
	if resp.Request.Method != http.MethodGet || resp.ContentLength <= 0 || strings.EqualFold(resp.Header.Get("Accept-Ranges"), "none") ||
		!isStrong(resp.Header.Get("Etag")) {
		return
	}
	b := &resumeBody{pool: p, head: resp, body: resp.Body}
	switch resp.StatusCode {
	case http.StatusOK:
		b.want = span{0, resp.ContentLength - 1, resp.ContentLength}
	case http.StatusPartialContent:
		s, ok := parseContentRange(resp.Header)
		if !ok || s.size < 0 || s.last-s.first+1 != resp.ContentLength {
			return
		}
		b.want, b.at = s, s.first
	default:
		return
	}
	head := *resp // without the body that is about to be put in place
	b.head = &head
	resp.Body = b
}

func isStrong(etag string) bool {
	return len(etag) > 2 && etag[0] == '"' && etag[len(etag)-1] == '"'
}

func (b *resumeBody) Read(p []byte) (int, error) {
	for {
		b.mu.Lock()
		body := b.body
		b.mu.Unlock()
		n, err := body.Read(p)
		b.at += int64(n)
		if err == io.EOF && b.at <= b.want.last {
			err = io.ErrUnexpectedEOF
		}
		if err == nil || err == io.EOF || !b.resume() || n > 0 {
			if n > 0 && b.current() != body {
				err = nil
			}
			return n, err
		}
	}
}

func (b *resumeBody) current() io.ReadCloser {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.body
}

// resume puts the rest of the body in place, once.
func (b *resumeBody) resume() bool {
	r := b.head.Request
	if b.resumed || b.at > b.want.last || r.Context().Err() != nil || !b.pool.budget.spend() {
		return false
	}
	b.resumed = true
	again := r.Clone(r.Context())
	for _, name := range conditional {
		again.Header.Del(name)
	}
	again.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", b.at, b.want.last))
	again.Header.Set("If-Range", b.head.Header.Get("Etag"))
	s := b.pool.set.Load()
	m, tail := s.find(r.URL)
	if m == nil {
		return false // the pool has changed
	}
	resp, err := b.pool.send(s, again, tail)
	if err != nil {
		return false
	}
	if !b.fits(resp) {
		resp.Body.Close()
		return false
	}
	return b.replace(resp.Body)
}

// fits reports the very bytes that are missing, of the very version that the caller has the beginning of.
func (b *resumeBody) fits(resp *http.Response) bool {
	got, ok := parseContentRange(resp.Header)
	return ok && resp.StatusCode == http.StatusPartialContent && got == span{b.at, b.want.last, b.want.size} &&
		resp.Header.Get("Etag") == b.head.Header.Get("Etag") &&
		resp.Header.Get("Content-Encoding") == b.head.Header.Get("Content-Encoding") &&
		(resp.ContentLength < 0 || resp.ContentLength == got.last-got.first+1)
}

func (b *resumeBody) replace(body io.ReadCloser) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		body.Close()
		return false
	}
	b.body.Close()
	b.body = body
	return true
}

func (b *resumeBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.body.Close()
}
