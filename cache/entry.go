package cache

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/body"
	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
)

// Entry is one whole answer of an origin. Once it was given to a Store nobody may change it or anything it points to;
// it may be read by any number of goroutines.
type Entry struct {
	// URL is the upstream URL that was asked for, viewer parameters included.
	URL string
	// Status is the status code of the answer. 0: this is no answer but a note of the Transport, and stands in the way of
	// one.
	Status int
	// Header holds the end-to-end fields of the answer (RFC 9111 section 3.1).
	Header http.Header
	// Vary holds the request fields that the answer's Vary names, as they were sent. Nil: the answer does not vary.
	Vary http.Header
	// Body is what the answer carried; nil stands for nothing.
	Body Body
	// Sliced, if not 0, is the length of a body that is too long for one Entry: Body is nil, and its slices are entries
	// of their own, with status 206.
	Sliced int64
	// Time is when the origin made the answer: when it came, less the Age that it came with (RFC 9111 section 4.2.3).
	Time time.Time
	// TTL is how long the answer is fresh, counted from Time.
	TTL time.Duration
	// Live: it is a playlist that goes on. What viewers are told of its freshness ends with TTL, whatever the origin has said.
	Live bool

	foreign time.Duration // how old it was when it came, by what caches of others say
}

// Age is how old the answer is by the monotonic clock; never negative.
func (e *Entry) Age() time.Duration { return max(time.Since(e.Time), 0) }

func (e *Entry) fresh() bool { return e.Age() < e.TTL }

// length is that of the body that the answer stands for.
func (e *Entry) length() int64 {
	if e.Sliced > 0 {
		return e.Sliced
	}
	return e.size()
}

// size is that of Body.
func (e *Entry) size() int64 {
	if e.Body == nil {
		return 0
	}
	return e.Body.Size()
}

// borrow keeps the body of an Entry of the Store until giveBack; false if there is no Entry, or its memory was given to
// another.
func borrow(e *Entry) bool {
	if e == nil {
		return false
	}
	b, ok := e.Body.(*body.Blob)
	return !ok || b.Borrow()
}

// giveBack ends a borrow. Nil: nothing was borrowed.
func giveBack(e *Entry) {
	if e == nil {
		return
	}
	if b, ok := e.Body.(*body.Blob); ok {
		b.Return()
	}
}

// Body is the content of an Entry. Its methods may be called concurrently.
type Body interface {
	io.ReaderAt
	// Size is the number of bytes.
	Size() int64
}

// Bytes returns b as a Body. It keeps b, which must not change afterwards.
func Bytes(b []byte) Body { return bytes.NewReader(b) }

// Store keeps entries by their keys. Its methods are called concurrently. A Store may forget any Entry at any time, and
// keeps those whose TTL has passed as long as it likes: they may still be revalidated.
type Store interface {
	// Get returns the Entry that was put under key, or nil and no error. It is called in the path of every request and
	// returns soon after ctx has ended.
	Get(ctx context.Context, key string) (*Entry, error)
	// Put keeps e under key in place of what was there. e belongs to the Store from then on.
	Put(ctx context.Context, key string, e *Entry) error
}

// arrived sets how old an answer with the header h is that was asked for a while ago and came now.
func (e *Entry) arrived(h http.Header, asked time.Time) {
	now := time.Now()
	e.Time, e.foreign = rules.Made(h, asked, now), 0
	if h[rules.ExactAge] == nil {
		e.foreign = now.Sub(e.Time)
	}
}
