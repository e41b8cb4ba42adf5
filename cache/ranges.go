package cache

import (
	"context"
	"errors"
	"math"
	"net/http"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// wanted returns the range that r asks for. ok is false if the whole is the answer: there is no Range, or it covers everything,
// is malformed, has another unit, or has several ranges (a handler in front may cut those), or If-Range does not hold (RFC 9110
// sections 13.1.5 and 14.2).
func wanted(r *http.Request, h http.Header) (s httprange.Spec, ok bool) {
	field, ok := httprange.Asked(r)
	if !ok || h["Content-Range"] != nil {
		return s, false
	}
	s, ok = httprange.ParseOne(field)
	return s, ok && s != httprange.Spec{First: 0, Last: -1} && httprange.IfRange(r.Header, h)
}

// within applies a range to a body of this length. -1: the length is not known.
func within(s httprange.Spec, length int64) (off, end int64, status int) {
	switch {
	case length >= 0:
		part, err := s.In(length)
		switch err {
		case nil:
			return part.Start, part.End(), http.StatusPartialContent
		case httprange.ErrUnsatisfiable:
			return 0, 0, http.StatusRequestedRangeNotSatisfiable
		}
		return 0, length, http.StatusOK
	case follows(s):
		return s.First, math.MaxInt64, http.StatusPartialContent
	}
	return 0, math.MaxInt64, http.StatusOK
}

// follows reports whether a range follows a growing body to its end (RFC 8673).
func follows(s httprange.Spec) bool { return s.First >= 0 && s.Last >= httprange.VeryLast }

// lengthAwaited is how long a range waits for the end of a body, which gives its length. After that the whole is sent instead.
const lengthAwaited = 2 * time.Second

var errOutgrown = errors.New("cache: too long to wait for its end")

// learn returns the length of a body that came without one. It returns -1 if the length cannot be known yet: every range is
// then answered with the whole, because players give up if they first get a 206 of unknown length and then a 200. Only a range
// that follows the body can be answered; learn waits for its first byte. It fails with errOutgrown if the body proves too long
// to wait for.
func (f *fill) learn(ctx context.Context, s httprange.Spec) (int64, error) {
	if !follows(s) {
		if total := f.total(); total >= 0 {
			return total, nil
		}
	}
	late := time.After(lengthAwaited)
	for {
		st := f.body.State()
		switch {
		case st.Err != nil:
			return 0, st.Err
		case st.Ended:
			return st.Size, nil
		case follows(s) && s.First < st.Size:
			return -1, nil
		case f.isDetached():
			return 0, errOutgrown
		}
		more := f.body.Grown(st.Size)
		if more == nil {
			continue
		}
		select {
		case <-more:
		case <-late:
			if !follows(s) {
				return -1, nil
			}
			late = nil
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// total is the length of the body as the origin tells it, -1 if it does not. It asks the origin once for the first byte. The
// Content-Range of the answer has the length, if it is of the same version.
func (f *fill) total() int64 {
	f.once.Do(func() {
		f.length = -1
		h := f.entry.Header
		if name, _ := rules.Strong(h); name == "" || h.Get("Accept-Ranges") == "none" {
			return
		}
		ctx, cancel := context.WithTimeout(f.ctx, f.t.idle())
		defer cancel()
		r := f.o.req.Clone(ctx)
		delete(r.Header, "If-None-Match")
		delete(r.Header, "If-Modified-Since")
		r.Header["Range"] = []string{"bytes=0-0"}
		resp, err := f.t.ask(r)
		if err != nil || resp == nil || resp.Body == nil {
			return
		}
		defer f.t.close(resp.Body)
		c, ok := httprange.ParseContentRange(resp.Header)
		same := resp.StatusCode == http.StatusPartialContent && ok && c.First == 0
		for _, name := range [...]string{"Etag", "Last-Modified"} {
			same = same && resp.Header.Get(name) == h.Get(name)
		}
		if same {
			f.length = c.Size
		}
	})
	return f.length
}
