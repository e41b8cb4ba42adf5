package cache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// A body longer than MaxBody is kept in slices that begin at multiples of sliceSize, each an Entry of its own and fetched
// by a Range of its own, by whoever needs it first. Their keys name the version of the whole (its validators and length),
// and each slice is checked against it, so that parts of two versions never come together.

const sliceSize = 2 << 20

// errChanged: the origin has another version by now, or does not serve ranges.
var errChanged = errors.New("the slice is not of the body it was asked for")

// slice is what a request for a slice carries in its context.
type slice struct {
	head     *Entry // of the whole
	off, end int64  // of the slice in the whole
	from, to int64  // what the viewer wants of the slice, counted from its beginning
}

// sliceKey is that of one Transport: its Base may be another, for which the request is one like any other.
type sliceKey struct{ t *Transport }

func (t *Transport) sliceOf(ctx context.Context) *slice {
	s, _ := ctx.Value(sliceKey{t}).(*slice)
	return s
}

// sliceable tells whether a body that is too long to be kept in one can be kept in slices.
func sliceable(resp *http.Response) bool {
	h := resp.Header
	return resp.StatusCode == http.StatusOK && resp.ContentLength > 0 && h.Get("Accept-Ranges") != "none" &&
		(h.Get("Etag") != "" || h.Get("Last-Modified") != "") && h["Content-Encoding"] == nil
}

// ask turns the header of a fill's request into that for the slice. With a strong validator the origin need not send what
// is of another version (RFC 9110 section 13.1.5).
func (s *slice) ask(h http.Header) {
	h["Range"] = []string{"bytes=" + strconv.FormatInt(s.off, 10) + "-" + strconv.FormatInt(s.end-1, 10)}
	if tag := s.head.Header.Get("Etag"); tag != "" && tag[0] == '"' {
		h["If-Range"] = []string{tag}
	}
}

// check tells whether the origin's answer is the slice.
func (s *slice) check(resp *http.Response) error {
	show := fmt.Sprintf("bytes %d-%d/%d", s.off, s.end-1, s.head.Sliced)
	same, known := resp.StatusCode == http.StatusPartialContent && resp.Header.Get("Content-Range") == show, false
	for _, name := range [...]string{"Etag", "Last-Modified"} {
		// One of them may be missing (RFC 9110 section 15.3.7).
		if now := resp.Header.Get(name); now != "" {
			same, known = same && now == s.head.Header.Get(name), true
		}
	}
	if same && known && (resp.ContentLength < 0 || resp.ContentLength == s.end-s.off) {
		resp.ContentLength = s.end - s.off
		return nil
	}
	resp.Body.Close()
	if failure(resp.StatusCode) {
		return &fault{ErrBroken, fmt.Errorf("status %d for a slice", resp.StatusCode)}
	}
	return &fault{ErrBroken, errChanged}
}

// inSlices ends an opening whose answer is too long for one Entry with an Entry for the header alone; false if this
// cannot be done.
func (o *opening) inSlices(resp *http.Response) bool {
	t, c := o.t, parseControl(resp.Header)
	vary, ok := varyOf(resp.Header, o.req.Header)
	if t.Store == nil || !ok || private(o.req.URL.Path, resp, c) || resp.ContentLength <= t.maxBody() || !sliceable(resp) {
		return false
	}
	e := newEntry(o, resp, vary)
	e.Sliced = resp.ContentLength
	ttl, err := t.ttl(e)
	if err != nil || ttl <= 0 {
		return false
	}
	e.TTL = ttl
	if o.keepUnlessPurged(e) != nil {
		return false
	}
	o.cancel(nil)
	resp.Body.Close()
	o.publish(func() { o.entry, o.how, o.large = e, statusMiss, true })
	return true
}
