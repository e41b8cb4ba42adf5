package rangeserve

import (
	"net/http"

	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// Handler answers range requests from what next answers in full. It passes the request on as it is. Where next gives a
// whole 200 to a GET with a Range, the answer becomes the 206 or 416 that [Serve] would give, cut out of the body as it
// streams by: next's large Writes are sliced and never copied, and next learns by an error of Write that nobody wants
// the rest. Preconditions, too, are answered from the ETag and Last-Modified of next's 200. Any other status, and a 206
// that next makes itself, passes untouched. A 200 that could be cut says "Accept-Ranges: bytes".
//
// A 200 stays whole when it is a playlist (its Content-Type, or without a telling one the path's extension), when it
// has a Content-Encoding or a Content-Range, when it says "Accept-Ranges: none", and when the parts asked for do not
// ascend. A body whose length next does not announce can be cut for one bounded range: its Content-Range then ends in
// "/*", or gives the true length when the body ended while the first 256 KiB of the range were awaited. An open range
// or a suffix of such a body, and a range of more than 256 KiB from its start, is answered whole.
//
// An inner body that ends before the last byte of a range breaks the connection: Handler panics with
// http.ErrAbortHandler. A panic of next's passes, except for http.ErrAbortHandler once all that was asked for is sent.
//
// The ResponseWriter that next gets implements Unwrap, Flush and ReadFrom; next reaches the rest with
// http.ResponseController. Methods other than GET and HEAD, and upgrades, get the bare one.
func Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead || len(r.Header["Upgrade"]) > 0 {
			next.ServeHTTP(w, r)
			return
		}
		c := &cutter{ResponseWriter: w, r: r}
		if len(r.Header["Range"]) == 0 && !httprange.Conditional(r.Header) {
			next.ServeHTTP(c, r)
			return
		}
		c.cuts = true
		c.serve(next)
	})
}

func (c *cutter) serve(next http.Handler) {
	defer func() {
		if c.state != served {
			return // let a panic go its way
		}
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			panic(v)
		}
	}()
	next.ServeHTTP(c, c.r)
	c.finish()
}
