package rangeserve

import (
	"net/http"
	"sync"

	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// Handler answers range requests from the whole answers of next. It passes the request on unchanged. If next gives a whole 200
// to a GET with a Range, the answer becomes the 206 or 416 that [Serve] would give, cut out of the body as it streams by:
// next's large Writes are sliced and never copied, and an error of Write tells next that nobody wants the rest. Preconditions
// are answered as well, from the ETag and Last-Modified of next's 200. Any other status, and a 206 of next itself, passes
// unchanged. A 200 that could be cut says "Accept-Ranges: bytes".
//
// A 200 stays whole if it is a playlist (by its Content-Type, or without a telling one by the path's extension), if it has a
// Content-Encoding or a Content-Range, if it says "Accept-Ranges: none", or if the requested parts do not ascend. A body of
// undeclared length can be cut for one bounded range. Its Content-Range then ends in "/*", or has the true length if the body
// ends within the first 256 KiB of the range, for which Handler waits. An open range or a suffix of such a body, and a range of
// more than 256 KiB from its start, is answered whole.
//
// If an inner body ends before the last byte of a range, the connection breaks: Handler panics with http.ErrAbortHandler. A
// panic of next passes, except http.ErrAbortHandler after all requested bytes were sent.
//
// The ResponseWriter for next implements Unwrap, Flush and ReadFrom; next reaches everything else with http.ResponseController. It
// must not be used after next has returned.
// Methods other than GET and HEAD, and upgrades, get the bare one.
func Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead || len(r.Header["Upgrade"]) > 0 {
			next.ServeHTTP(w, r)
			return
		}
		c := cutters.Get().(*cutter)
		*c = cutter{ResponseWriter: w, r: r, cuts: len(r.Header["Range"]) > 0 || httprange.Conditional(r.Header)}
		if !c.cuts {
			next.ServeHTTP(c, r)
		} else if !c.serve(next) {
			return
		}
		// After a panic c is not reused: a goroutine of next may still hold it.
		*c = cutter{}
		cutters.Put(c)
	})
}

var cutters = sync.Pool{New: func() any { return new(cutter) }}

// serve reports whether next has returned. It returns false if next has aborted after all requested bytes were sent.
func (c *cutter) serve(next http.Handler) (returned bool) {
	defer func() {
		if c.state != served {
			return // let a panic pass
		}
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			panic(v)
		}
	}()
	next.ServeHTTP(c, c.r)
	c.finish()
	return true
}
