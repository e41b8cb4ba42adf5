package origin

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// resumeBody continues a body that broke, with bytes that are certain to be of the same version.
type resumeBody struct {
	pool *Pool
	head *http.Response // the caller's answer
	at   int64          // the next byte, counted from the start of the whole
	want httprange.ContentRange

	mu      sync.Mutex // guards what Close needs during a Read
	body    io.ReadCloser
	closed  bool
	resumed int
	broken  []*member // origins at which the body broke
}

var errMoreThanAsked = errors.New("origin: the rest of a body is longer than it says")

// maxResumes is how often one body is resumed. Two of three origins may have failed.
const maxResumes = 2

// resumable lets a body continue after it breaks, if the answer says enough to recognise a rest that fits.
func resumable(p *Pool, resp *http.Response) {
	if resp.Request.Method != http.MethodGet || resp.ContentLength <= 0 || strings.EqualFold(resp.Header.Get("Accept-Ranges"), "none") ||
		len(resp.Header["Etag"]) != 1 || !httprange.StrongETag(resp.Header["Etag"][0]) {
		return
	}
	b := &resumeBody{pool: p, head: resp, body: resp.Body}
	switch resp.StatusCode {
	case http.StatusOK:
		b.want = httprange.ContentRange{First: 0, Last: resp.ContentLength - 1, Size: resp.ContentLength}
	case http.StatusPartialContent:
		c, ok := httprange.ParseContentRange(resp.Header)
		if !ok || c.Size < 0 || c.Length() != resp.ContentLength {
			return
		}
		b.want, b.at = c, c.First
	default:
		return
	}
	head := *resp // without the body, which is about to be replaced, and with a header that nobody above changes
	head.Header = resp.Header.Clone()
	b.head = &head
	resp.Body = b
}

func (b *resumeBody) Read(p []byte) (int, error) {
	for {
		body := b.current()
		n, err := b.read(body, p)
		b.at += int64(n)
		if more := b.at - b.want.Last - 1; more > 0 { // than its Content-Range says: it is not what it claims to be
			b.at, b.resumed = b.want.Last+1, maxResumes
			return n - int(more), errMoreThanAsked
		}
		if err == io.EOF && b.at <= b.want.Last {
			err = io.ErrUnexpectedEOF
		}
		if err == nil || err == io.EOF || !b.resume() {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

// read gives up a body that stalls while there is still time to fetch the rest elsewhere.
func (b *resumeBody) read(body io.ReadCloser, p []byte) (int, error) {
	if c, ok := body.(*callBody); ok && b.resumed < maxResumes && b.pool.patience > 0 {
		stalled := time.AfterFunc(b.pool.patience, func() { c.call.cancel(errSlowOrigin) })
		defer stalled.Stop()
	}
	return body.Read(p)
}

func (b *resumeBody) current() io.ReadCloser {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.body
}

// resume continues with the rest of the body from another origin.
func (b *resumeBody) resume() bool {
	if body, ok := b.current().(*callBody); ok {
		b.broken = append(b.broken, body.call.member)
	}
	for b.resumed < maxResumes && b.at <= b.want.Last && b.head.Request.Context().Err() == nil && b.pool.budgets.retries.spend() {
		b.resumed++
		resp, err := b.rest()
		switch {
		case err != nil:
		case b.fits(resp):
			return b.replace(resp.Body)
		default:
			if body, ok := resp.Body.(*callBody); ok {
				b.broken = append(b.broken, body.call.member)
			}
			resp.Body.Close()
		}
		if !b.others() {
			break
		}
	}
	return false
}

// others reports whether there is an origin that has not failed this body.
func (b *resumeBody) others() bool {
	return slices.ContainsFunc(b.pool.set.Load().members, func(m *member) bool { return !slices.Contains(b.broken, m) })
}

// rest asks for the missing bytes.
func (b *resumeBody) rest() (*http.Response, error) {
	r := b.head.Request.Clone(b.head.Request.Context())
	for _, name := range conditional {
		r.Header.Del(name)
	}
	r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", b.at, b.want.Last))
	r.Header.Set("If-Range", b.head.Header.Get("Etag"))
	s := b.pool.set.Load()
	m, tail := s.named(r)
	if m == nil {
		return nil, errSlowOrigin // the origins of the pool have changed
	}
	return b.pool.send(s, r, tail, b.broken)
}

// fits reports whether an answer has exactly the missing bytes of the caller's version.
func (b *resumeBody) fits(resp *http.Response) bool {
	got, ok := httprange.ParseContentRange(resp.Header)
	return ok && resp.StatusCode == http.StatusPartialContent && got == httprange.ContentRange{First: b.at, Last: b.want.Last, Size: b.want.Size} &&
		slices.Equal(resp.Header["Etag"], b.head.Header["Etag"]) &&
		resp.Header.Get("Content-Encoding") == b.head.Header.Get("Content-Encoding") &&
		(resp.ContentLength < 0 || resp.ContentLength == got.Length())
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
