package cache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/body"
	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
)

// Entry is one whole answer of an origin. Once it was given to a Store, nobody may change it or anything it points to. Any
// number of goroutines may read it.
type Entry struct {
	// URL is the upstream URL of the request, viewer parameters included.
	URL string
	// Status is the status code of the answer. 0: this is not an answer but a note of the Transport that takes the place of
	// one.
	Status int
	// Header holds the end-to-end fields of the answer (RFC 9111 section 3.1).
	Header http.Header
	// Vary holds the request fields that the answer's Vary names, as they were sent. Nil: the answer does not vary.
	Vary http.Header
	// Body is the body of the answer. Nil: an empty one.
	Body Body
	// Sliced, if not 0, is the length of a body that is too long for one Entry. Body is then nil, and the slices are entries of
	// their own, with status 206.
	Sliced int64
	// Time is when the origin made the answer: its arrival, minus the Age that it came with (RFC 9111 section 4.2.3).
	Time time.Time
	// TTL is how long the answer is fresh, counted from Time.
	TTL time.Duration
	// Live: the answer is a playlist that goes on. Viewers are not told that it is fresh for longer than TTL, whatever the
	// origin said.
	Live bool

	lent    bool          // Header is the map of the viewer's answer: the entry is good for this answer only
	foreign time.Duration // how old it was when it came, by the Age of caches in between
}

// Age is how old the answer is, by the monotonic clock. It is never negative.
func (e *Entry) Age() time.Duration { return max(time.Since(e.Time), 0) }

func (e *Entry) fresh() bool { return e.Age() < e.TTL }

// length is the length of the body that the answer stands for.
func (e *Entry) length() int64 {
	if e.Sliced > 0 {
		return e.Sliced
	}
	return e.size()
}

// size is the length of Body.
func (e *Entry) size() int64 {
	if e.Body == nil {
		return 0
	}
	return e.Body.Size()
}

// borrow keeps the body of an Entry of the Store in memory until giveBack. It returns false if e is nil, if its memory was
// already given to another, or if its file is known to be gone.
func borrow(e *Entry) bool {
	if e == nil {
		return false
	}
	switch b := e.Body.(type) {
	case *body.Blob:
		return b.Borrow()
	case *fileBody:
		return !b.lost.Load()
	}
	return true
}

// giveBack ends a borrow. Nil is allowed.
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
	// Size is the length in bytes.
	Size() int64
}

// Bytes returns b as a Body. It keeps b, which must not change afterwards.
func Bytes(b []byte) Body { return bytes.NewReader(b) }

// Store keeps entries by their keys. Its methods are called concurrently. A Store may forget any Entry at any time. It may keep
// entries past their TTL as long as it likes: they can still be revalidated.
type Store interface {
	// Get returns the Entry that was put under key, or nil without an error. Every request calls it. It must return soon after
	// ctx has ended.
	Get(ctx context.Context, key string) (*Entry, error)
	// Put keeps e under key, in place of an earlier Entry. The Store owns e from then on.
	Put(ctx context.Context, key string, e *Entry) error
}

// isConfirmed reports whether a 304 with this header is about e. It must not rename a version whose slices have the name in
// their keys.
func (e *Entry) isConfirmed(h304 http.Header) bool {
	if e.Sliced > 0 {
		name, value := rules.Strong(e.Header)
		if now, is := rules.Strong(rules.Updated(e.Header, h304)); now != name || is != value {
			return false
		}
	}
	return rules.Confirms(h304, e.Header)
}

// ErrNoPurge: the Store of a Transport is no Purger.
var ErrNoPurge = errors.New("cache: the store cannot purge")

// Purger is a Store that can forget entries. Memory and Dir are Purgers.
type Purger interface {
	// Purge forgets the entries whose keys match, and returns how many there were. match is called under a lock.
	Purge(ctx context.Context, match func(key string) bool) (int, error)
}

// arrived sets the age of an answer that has just come; asked is when the request was sent.
func (e *Entry) arrived(h http.Header, asked time.Time) {
	now := time.Now()
	e.Time, e.foreign = rules.Made(h, asked, now), 0
	if h[rules.ExactAge] == nil {
		e.foreign = now.Sub(e.Time)
	}
}
