package cluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/hlsproxy/hlsproxy/cache"
)

// The fields that tell another node which slice of a long body a request is for.
const (
	fieldSlice = ours + "Slice"  // the position of the slice, and the length of the whole
	fieldWhole = ours + "Whole-" // prefix of the names of fields of the whole
)

// sliceSize is the same as in package cache.
const sliceSize = 2 << 20

// heldAs is the key for the directory. Slices of one body have different holders, except the first slice, which the holder of
// the whole has already opened to examine the body.
func heldAs(key string, s *cache.Slice) string {
	if s == nil || s.Off == 0 {
		return key
	}
	return key + "\x00" + strconv.FormatInt(s.Off/sliceSize, 10)
}

// addSlice writes a slice into the header of a request.
func addSlice(h http.Header, s *cache.Slice) {
	if s == nil {
		return
	}
	delete(h, "Range")
	delete(h, "If-Range")
	h[fieldSlice] = []string{fmt.Sprintf("%d-%d/%d", s.Off, s.End, s.Length)}
	for name, values := range s.Header {
		h[fieldWhole+name] = values
	}
}

// sliceIn is what addSlice has written; nil: nothing.
func sliceIn(h http.Header) *cache.Slice {
	s := &cache.Slice{Header: http.Header{}}
	if n, err := fmt.Sscanf(h.Get(fieldSlice), "%d-%d/%d", &s.Off, &s.End, &s.Length); n != 3 || err != nil {
		return nil
	}
	for name, values := range h {
		if name, ok := strings.CutPrefix(name, fieldWhole); ok {
			s.Header[name] = values
		}
	}
	return s
}

// lazy is the body of an answer that another node keeps in slices. The edge closes it and asks for slices. If it does not, the
// body is requested at the first Read.
type lazy struct {
	q      *question
	peer   *peer
	head   http.Header
	length int64
	ctx    context.Context

	mu     sync.Mutex
	body   io.ReadCloser
	closed bool
}

func (l *lazy) Read(p []byte) (int, error) {
	body, err := l.open()
	if err != nil {
		return 0, err
	}
	return body.Read(p)
}

func (l *lazy) open() (io.ReadCloser, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, http.ErrBodyReadAfterClose
	}
	if l.body != nil {
		return l.body, nil
	}
	q := *l.q
	q.eager = true
	resp, err := q.from(l.ctx, l.peer)
	if err != nil {
		return nil, err
	}
	for _, name := range [...]string{"Etag", "Last-Modified"} {
		if resp.Header.Get(name) != l.head.Get(name) || resp.ContentLength != l.length {
			resp.Body.Close()
			return nil, cache.ErrChanged
		}
	}
	l.body = resp.Body
	return l.body, nil
}

// Close is that of io.Closer.
func (l *lazy) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.body != nil {
		return l.body.Close()
	}
	return nil
}
