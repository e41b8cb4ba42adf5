package rangeserve

import (
	"io"
	"net/http"
	"time"
)

const (
	defaultStall = 30 * time.Second
	pieceSize    = 256 << 10
)

// viewer is the way to a client that may be slow for hours but not stand still: each piece that it takes gives the next
// one time of its own. A reader that is stuck would else keep its connection, and the file that it reads, for ever.
type viewer struct {
	http.ResponseWriter
	stall time.Duration // not positive: no limit
	armed time.Time
	h2    bool
}

// Unwrap is for http.ResponseController.
func (v *viewer) Unwrap() http.ResponseWriter { return v.ResponseWriter }

// arm begins the time that the client has to take what comes next. To set a deadline costs as much as much of a small
// answer, so one that was set a moment ago has to do, and each gives a moment more than it must.
func (v *viewer) arm() {
	if v.stall <= 0 {
		return
	}
	now, moment := time.Now(), v.stall/16
	if v.armed.IsZero() || now.Sub(v.armed) >= moment {
		v.armed = now
		_ = http.NewResponseController(v.ResponseWriter).SetWriteDeadline(now.Add(v.stall + moment)) // not every one can
	}
}

// disarm ends it: the deadline of an HTTP/2 stream passes even while there is nothing to write.
func (v *viewer) disarm() {
	if v.stall > 0 && v.h2 {
		_ = http.NewResponseController(v.ResponseWriter).SetWriteDeadline(time.Time{})
		v.armed = time.Time{}
	}
}

func (v *viewer) Write(p []byte) (n int, err error) {
	defer v.disarm()
	for {
		v.arm()
		m, err := v.ResponseWriter.Write(p[n:min(n+pieceSize, len(p))])
		if n += m; err != nil || n == len(p) {
			return n, err
		}
	}
}

// ReadFrom lets a file go by way of the kernel, which asks for more time whenever the connection takes no more for now.
func (v *viewer) ReadFrom(src io.Reader) (int64, error) {
	file, ok := src.(*fileSection)
	to, can := v.ResponseWriter.(io.ReaderFrom)
	if !ok || !can {
		return io.Copy(struct{ io.Writer }{v}, src)
	}
	file.viewer = v
	v.arm()
	return to.ReadFrom(file)
}
