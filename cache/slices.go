package cache

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
)

// A body longer than MaxBody is kept in slices that begin at multiples of sliceSize, each an Entry of its own and fetched
// by a Range of its own, by whoever needs it first. Their keys name the version of the whole (its validators and length),
// and each slice is checked against it, so that parts of two versions never come together.

const sliceSize = 2 << 20

// slice is one of them, as a viewer asks for it.
type slice struct {
	head     *Entry // of the whole
	off, end int64  // of the slice in the whole
	from, to int64  // what the viewer wants of the slice, counted from its beginning
}

// sliceable tells whether a body that is too long to be kept in one can be kept in slices.
func sliceable(resp *http.Response) bool {
	h := resp.Header
	name, _ := rules.Strong(h)
	return resp.StatusCode == http.StatusOK && resp.ContentLength > 0 && h.Get("Accept-Ranges") != "none" &&
		name != "" && h["Content-Encoding"] == nil
}

// ask turns the header of a fill's request into that for the slice. With a strong validator the origin need not send what
// is of another version (RFC 9110 section 13.1.5).
func (s *slice) ask(h http.Header) {
	h["Range"] = []string{"bytes=" + strconv.FormatInt(s.off, 10) + "-" + strconv.FormatInt(s.end-1, 10)}
	if name, tag := rules.Strong(s.head.Header); name == "Etag" {
		h["If-Range"] = []string{tag}
	}
}

// check tells whether the origin's answer is the slice: of the same version, for the same viewers.
func (s *slice) check(o *flight, resp *http.Response) error {
	h, show := resp.Header, s.shown()
	name, value := rules.Strong(s.head.Header)
	same := resp.StatusCode == http.StatusPartialContent && h.Get("Content-Range") == show && h.Get(name) == value &&
		h["Content-Encoding"] == nil
	for _, other := range [...]string{"Etag", "Last-Modified"} {
		if now := h.Get(other); now != "" { // it may be missing (RFC 9110 section 15.3.7)
			same = same && now == s.head.Header.Get(other)
		}
	}
	c := rules.ParseControl(h)
	shared := !c.NoStore && !c.Private && (h["Set-Cookie"] == nil || o.forAll(h)) && s.variesAlike(o, h)
	if same && shared && (resp.ContentLength < 0 || resp.ContentLength == s.end-s.off) {
		resp.ContentLength = s.end - s.off
		return nil
	}
	resp.Body.Close()
	if failure(resp.StatusCode) {
		return &fault{ErrBroken, fmt.Errorf("status %d for a slice", resp.StatusCode)}
	}
	return &fault{ErrBroken, ErrChanged}
}

// variesAlike tells whether a slice varies by no field that the whole does not vary by.
func (s *slice) variesAlike(o *flight, h http.Header) bool {
	vary, ok := o.varyOf(h)
	for name := range vary {
		_, known := s.head.Vary[name]
		ok = ok && known
	}
	return ok
}

// inSlices lands, with an Entry for the header alone, where an answer is too long for one Entry; false if this cannot be done.
func (o *flight) inSlices(resp *http.Response) (out outcome, ok bool) {
	t, c := o.t, rules.ParseControl(resp.Header)
	vary, ok := o.varyOf(resp.Header)
	if t.Store == nil || !ok || o.isPrivate(resp, c) || resp.ContentLength <= t.maxBody() || !sliceable(resp) {
		return outcome{}, false
	}
	e := newEntry(o, resp, vary)
	e.Sliced = resp.ContentLength
	if _, err := t.judge(o, e); err != nil || e.TTL <= 0 {
		return outcome{}, false
	}
	if o.store(e) != nil {
		return outcome{}, false
	}
	o.cancel(nil)
	resp.Body.Close()
	return o.land(outcome{entry: e, how: statusMiss, large: true}), true
}
