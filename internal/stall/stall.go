// Package stall writes to clients that may be slow for hours but must not stand still: each piece that a client takes gives the
// next one a time limit of its own. A client that takes nothing would otherwise hold its connection, and the memory of its
// answer, for ever.
package stall

import (
	"net/http"
	"time"
)

// Default is how long a client may take nothing, unless configured otherwise.
const Default = 30 * time.Second

// Each piece has one deadline. A client that takes pieces at once gets longer ones, because a body of 2 MB costs a tenth more
// in short pieces. A client that takes its time gets shorter ones, so that it may read slowly.
const (
	short = 64 << 10
	usual = 256 << 10
	long  = 512 << 10
)

// patience is how many limits a client has for a long piece. It has read fast until then, and may go on at the rate of a film's
// sound: with the default, 5.5 KB/s.
const patience = 3

// Writer writes to a ResponseWriter with a deadline for each piece. It is used by one goroutine at a time.
type Writer struct {
	w     http.ResponseWriter
	rc    http.ResponseController
	limit time.Duration // not positive: no limit
	armed time.Time
	left  int64 // bytes that are still expected; not positive: unknown
	piece int32 // the longest write
	h2    bool
	long  bool // the deadline suits a long piece
	off   bool // the deadline was removed
}

// New returns a Writer for the answer to r. Zero: Default. Negative: no limit.
func New(w http.ResponseWriter, r *http.Request, limit time.Duration) Writer {
	if limit == 0 {
		limit = Default
	}
	return Writer{w: w, rc: *http.NewResponseController(w), limit: limit, piece: usual, h2: r.ProtoMajor > 1}
}

// Arm starts the time limit for the next write. Setting a deadline costs as much as the rest of a small answer, so a recent
// deadline is reused, and each is set a moment later than necessary. quick: the last one was set a moment ago, so the client
// has taken at once what it got since.
//
//go:noinline
func (w *Writer) Arm() (quick bool) {
	if w.limit <= 0 {
		return true
	}
	moment := w.limit / 16
	quick = !w.armed.IsZero() && time.Since(w.armed) < moment
	if quick && !w.off {
		return true
	}
	w.armed, w.long, w.off = time.Now(), false, false
	_ = w.rc.SetWriteDeadline(w.armed.Add(w.limit + moment)) // some ResponseWriters cannot
	return quick
}

// next starts the time limit of the next piece of n bytes, and returns how many of them it may have.
func (w *Writer) next(n int) int {
	first := w.armed.IsZero()
	switch quick := w.Arm(); {
	case quick:
		w.piece = min(2*w.piece, long)
	case !first:
		w.piece = short
	}
	if n = min(n, int(w.piece)); n > short && w.piece > usual && w.limit > 0 && !w.long {
		w.armed, w.long = time.Now(), true
		_ = w.rc.SetWriteDeadline(w.armed.Add(patience * w.limit))
	}
	return n
}

// Disarm removes the limit: the deadline of an HTTP/2 stream passes even if there is nothing to write.
//
//go:noinline
func (w *Writer) Disarm() {
	if w.limit > 0 && w.h2 {
		_ = w.rc.SetWriteDeadline(time.Time{})
		w.off = true
	}
}

// Break expires the deadline: an outer handler that recovers the panic must not end the body cleanly.
func (w *Writer) Break() { _ = w.rc.SetWriteDeadline(time.Unix(1, 0)) }

// Flush sends buffered bytes, within the time limit of a piece.
func (w *Writer) Flush() error {
	w.Arm()
	defer w.Disarm()
	return w.rc.Flush()
}

// Write writes p in pieces, each with a time limit of its own. Its frame is kept small, because it is on the stack of each
// viewer below net/http.
func (w *Writer) Write(p []byte) (n int, err error) {
	for err == nil {
		var m int
		m, err = w.w.Write(p[n : n+w.next(len(p)-n)])
		if n += m; n >= len(p) {
			break
		}
	}
	if w.left -= int64(n); w.left != 0 {
		w.Disarm()
	}
	return n, err
}

// Expect says how many bytes will be written, if that is known. The deadline of the last one is then not removed: the handler
// returns right after it, and each change of a deadline is a message to the goroutine of an HTTP/2 connection. If nothing more
// is to be written for another reason, Flush removes it.
func (w *Writer) Expect(n int64) { w.left = n }
