package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// body is the body of another node's answer. If that node fails, it continues from the next node, if the bytes are certain to
// be the same: the answer has a length and a strong ETag, and an exact 206 with that ETag continues it.
type body struct {
	q     *question
	head  *http.Response // the reader's answer
	begun time.Time
	at    int64                  // the next byte, counted from the first of this answer
	want  httprange.ContentRange // the part of the whole that this answer is; without a size, it cannot continue elsewhere
	left  int                    // how often it may continue elsewhere

	mu     sync.Mutex // guards what Close needs during a Read
	part   *part
	closed bool
}

// part is the part of a body from one node, or from this one.
type part struct {
	src   io.ReadCloser
	peer  *peer          // nil: this node
	env   *http.Response // the answer of peer, for its trailer
	end   context.CancelCauseFunc
	watch *watch
}

const mostResumes = 2

func (q *question) body(env, resp *http.Response, p *peer, end context.CancelCauseFunc) io.ReadCloser {
	if !hasBody(q.r.Method, resp.StatusCode) {
		env.Body.Close()
		end(nil)
		return http.NoBody
	}
	head := *resp
	b := &body{q: q, head: &head, begun: time.Now(), want: httprange.ContentRange{Size: httprange.Unknown}, left: mostResumes}
	b.part = newPart(q.n, env.Body, p, env, end)
	if q.slice != nil && resp.ContentLength == q.slice.End-q.slice.Off {
		b.want.Size = q.slice.Length
	} else if tags := resp.Header["Etag"]; resp.ContentLength > 0 && q.r.Method != http.MethodHead &&
		len(tags) == 1 && httprange.StrongETag(tags[0]) {
		switch resp.StatusCode {
		case http.StatusOK:
			b.want = httprange.ContentRange{Last: resp.ContentLength - 1, Size: resp.ContentLength}
		case http.StatusPartialContent:
			if c, ok := httprange.ParseContentRange(resp.Header); ok && c.Length() == resp.ContentLength {
				b.want = c
			}
		}
	}
	return b
}

func newPart(n *Node, src io.ReadCloser, p *peer, env *http.Response, end context.CancelCauseFunc) *part {
	t := &part{src: src, peer: p, env: env, end: end}
	if p != nil {
		t.watch = newWatch(n, p, end)
	}
	return t
}

func (t *part) read(p []byte) (int, error) {
	if t.watch == nil {
		return t.src.Read(p)
	}
	t.watch.begin()
	defer t.watch.end()
	return t.src.Read(p)
}

func (t *part) close() {
	if t.watch != nil {
		t.watch.stop()
	}
	t.src.Close()
	t.end(nil)
}

// Read is that of io.Reader.
func (b *body) Read(p []byte) (int, error) {
	for {
		b.mu.Lock()
		t := b.part
		b.mu.Unlock()
		n, err := t.read(p)
		b.at += int64(n)
		if t.peer != nil {
			b.q.n.count.fromNodeBytes.Add(uint64(n))
		}
		if err == nil {
			return n, nil
		}
		err = b.judge(t, err)
		var fault *nodeFault
		if err == io.EOF || !errors.As(err, &fault) || !b.resume(t, fault) {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

// judge interprets the end of a part: io.EOF is the end of the body, a *nodeFault the fault of a node.
func (b *body) judge(t *part, err error) error {
	length := b.head.ContentLength
	if t.peer == nil {
		if err == io.EOF && b.at < length {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	if err != io.EOF {
		if cause := context.Cause(b.q.r.Context()); cause != nil {
			return cause
		}
		return &nodeFault{gone: refused(err), cause: fmt.Errorf("%w: %w", errCut, err)}
	}
	switch end := t.env.Trailer.Get(fieldEnd); {
	case end == endBroken:
		return &originFault{status: http.StatusBadGateway, reason: io.ErrUnexpectedEOF}
	case end != endWhole, length >= 0 && b.at != length:
		return &nodeFault{gone: true, cause: errCut}
	}
	return io.EOF
}

// resume continues with the rest of the body.
func (b *body) resume(t *part, fault *nodeFault) bool {
	n := b.q.n
	t.peer.failed(fault.gone)
	for b.left > 0 && b.want.Size >= 0 && b.q.r.Context().Err() == nil {
		b.left--
		resp, err := b.rest(t.peer, fault)
		if err != nil {
			continue
		}
		if !b.fits(resp) {
			resp.Body.Close()
			return false
		}
		next := newPart(n, resp.Body, nil, nil, func(error) {})
		if other, ok := resp.Body.(*body); ok {
			next = other.part
		}
		if b.q.slice != nil && !b.skip(next) {
			next.close()
			continue
		}
		n.count.resumed.Add(1)
		return b.replace(next)
	}
	return false
}

// rest asks for the missing bytes.
func (b *body) rest(failed *peer, fault *nodeFault) (*http.Response, error) {
	q, h := *b.q, b.q.r.Header.Clone()
	for _, name := range [...]string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		delete(h, name)
	}
	if q.slice == nil {
		h["Range"] = []string{fmt.Sprintf("bytes=%d-%d", b.want.First+b.at, b.want.Last)}
		h["If-Range"] = []string{b.head.Header.Get("Etag")}
	}
	r := b.q.r.WithContext(b.q.r.Context())
	r.Header = h
	q.r = r
	ctx := r.Context()
	next := failed.url
	if fault.gone && q.n.ping(ctx, failed) {
		failed.works() // only the connection broke
	} else {
		next = q.instead(ctx, failed, fault)
	}
	if next != q.n.self {
		p := q.n.peers.get(next)
		resp, err := q.from(ctx, p)
		var again *nodeFault
		if err == nil || !errors.As(err, &again) {
			return resp, err
		}
		q.instead(ctx, p, again)
	}
	if q.slice == nil && time.Since(b.begun) > b.q.n.resumeLimit() {
		// Our parent would begin again, and be too late.
		return q.n.parent.Base.RoundTrip(r)
	}
	return q.own(ctx)
}

// fits reports whether an answer has exactly the missing bytes of the reader's version.
func (b *body) fits(resp *http.Response) bool {
	if b.q.slice != nil {
		return resp.StatusCode == http.StatusPartialContent && resp.ContentLength == b.head.ContentLength &&
			resp.Header.Get("Content-Range") == b.head.Header.Get("Content-Range") &&
			slices.Equal(resp.Header["Etag"], b.head.Header["Etag"]) &&
			resp.Header.Get("Last-Modified") == b.head.Header.Get("Last-Modified")
	}
	rest := b.want
	rest.First += b.at
	c, ok := httprange.ParseContentRange(resp.Header)
	return resp.StatusCode == http.StatusPartialContent && ok && c == rest &&
		slices.Equal(resp.Header["Etag"], b.head.Header["Etag"]) &&
		resp.Header.Get("Content-Encoding") == b.head.Header.Get("Content-Encoding") &&
		(resp.ContentLength < 0 || resp.ContentLength == rest.Length())
}

// skip reads the bytes that the reader already has.
func (b *body) skip(t *part) bool {
	buf := make([]byte, min(b.at, 32<<10))
	for left := b.at; left > 0; {
		n, err := t.read(buf[:min(left, int64(len(buf)))])
		if left -= int64(n); err != nil && left > 0 {
			return false
		}
	}
	return true
}

func (b *body) replace(next *part) bool {
	b.mu.Lock()
	old, closed := b.part, b.closed
	if !closed {
		b.part = next
	}
	b.mu.Unlock()
	if closed {
		next.close()
		return false
	}
	old.close()
	return true
}

// Close is that of io.Closer.
func (b *body) Close() error {
	b.mu.Lock()
	t, closed := b.part, b.closed
	b.closed = true
	b.mu.Unlock()
	if !closed {
		t.close()
	}
	return nil
}
