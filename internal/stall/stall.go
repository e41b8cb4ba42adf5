// Package stall writes to clients that may be slow for hours but must not stand still: each piece that a client takes
// gives the next one time of its own. A client that takes nothing would otherwise hold its connection, and all that its
// answer holds, for ever.
package stall

import (
	"net/http"
	"time"
)

// Default is the time in which a client has to take something, where nobody says otherwise.
const Default = 30 * time.Second

// piece is the most that one deadline is given for.
const piece = 256 << 10

// Writer writes to a ResponseWriter with a deadline for each piece. It is used by one goroutine at a time.
type Writer struct {
	w     http.ResponseWriter
	rc    http.ResponseController
	limit time.Duration // not positive: none
	h2    bool
	armed time.Time
}

// New returns a Writer for the answer to r. Zero: Default. Negative: no limit.
func New(w http.ResponseWriter, r *http.Request, limit time.Duration) Writer {
	if limit == 0 {
		limit = Default
	}
	return Writer{w: w, rc: *http.NewResponseController(w), limit: limit, h2: r.ProtoMajor > 1}
}

// Arm begins the time that the client has to take what comes next. Setting a deadline costs as much as the rest of a small
// answer, so one that was set a moment ago has to do, and each gives a moment more than it must.
//
//go:noinline
func (w *Writer) Arm() {
	if w.limit <= 0 {
		return
	}
	now, moment := time.Now(), w.limit/16
	if w.armed.IsZero() || now.Sub(w.armed) >= moment {
		w.armed = now
		_ = w.rc.SetWriteDeadline(now.Add(w.limit + moment)) // not every ResponseWriter can
	}
}

// Disarm ends it: the deadline of an HTTP/2 stream passes even while there is nothing to write.
//
//go:noinline
func (w *Writer) Disarm() {
	if w.limit > 0 && w.h2 {
		_ = w.rc.SetWriteDeadline(time.Time{})
		w.armed = time.Time{}
	}
}

// Break expires the deadline, so that a body cannot end in order where a handler outside recovers whatever panics.
func (w *Writer) Break() { _ = w.rc.SetWriteDeadline(time.Unix(1, 0)) }

// Flush sends what is held back, within the time of a piece.
func (w *Writer) Flush() error {
	w.Arm()
	defer w.Disarm()
	return w.rc.Flush()
}

// Write writes p in pieces, each with time of its own. It stands below net/http on the stack of each viewer, so it is as small
// as can be.
func (w *Writer) Write(p []byte) (n int, err error) {
	for err == nil {
		w.Arm()
		var m int
		m, err = w.w.Write(p[n:min(n+piece, len(p))])
		if n += m; n >= len(p) {
			break
		}
	}
	w.Disarm()
	return n, err
}
