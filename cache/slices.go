package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
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

type sliceKey struct{}

func sliceOf(ctx context.Context) *slice {
	s, _ := ctx.Value(sliceKey{}).(*slice)
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

// sliced is the body of a response that is made of slices.
type sliced struct {
	t        *Transport
	r        *http.Request
	key      string
	head     *Entry
	off, end int64
	cur      io.ReadCloser // the slice that holds off; nil: to be opened
	left     int64         // of cur
	gone     bool
}

// newSliced opens the first slice, so that a failure is known before anything is sent.
func (t *Transport) newSliced(r *http.Request, key string, head *Entry, off, end int64) (*sliced, error) {
	s := &sliced{t: t, r: r, key: key, head: head, off: off, end: end}
	return s, s.open()
}

// open opens the slice that holds off.
func (s *sliced) open() error {
	i := s.off / sliceSize
	part := &slice{head: s.head, off: i * sliceSize, end: min((i+1)*sliceSize, s.head.Sliced)}
	part.from, part.to = s.off-part.off, min(s.end, part.end)-part.off
	h := s.head.Header
	key := s.key + "\x00slice\x00" + h.Get("Etag") + "\x00" + h.Get("Last-Modified") + "\x00" +
		strconv.FormatInt(s.head.Sliced, 10) + "\x00" + strconv.FormatInt(i, 10)
	r := s.r.WithContext(context.WithValue(s.r.Context(), sliceKey{}, part))
	r.Method, r.Header = http.MethodGet, fillHeader(r.Header)
	resp, err := s.t.part(r, key)
	if err != nil {
		if errors.Is(err, errChanged) {
			// An Entry without a status stands for nothing: the whole is asked for again, some time.
			s.t.setAlone(s.key)
			s.t.put(r.Context(), s.key, &Entry{URL: s.head.URL, TTL: longest})
		}
		return err
	}
	s.cur, s.left = resp.Body, part.to-part.from
	return nil
}

// part finds one slice or asks for it.
func (t *Transport) part(r *http.Request, key string) (*http.Response, error) {
	have := t.lookup(r, key)
	if have.entry != nil {
		if resp := t.serve(r, have, statusHit); resp != nil {
			return resp, nil
		}
	}
	return t.join(r, found{primary: key, key: key}, true)
}

// advance notes what was read of the slice, and reports the end of the whole as io.EOF.
func (s *sliced) advance(n int64, err error) error {
	s.off += n
	s.left -= n
	switch {
	case err != nil && err != io.EOF:
		return err
	case s.left > 0 && err == io.EOF:
		return io.ErrUnexpectedEOF
	case s.left == 0:
		s.cur.Close()
		s.cur = nil
	}
	return nil
}

// Read is that of io.Reader.
func (s *sliced) Read(p []byte) (int, error) {
	switch {
	case s.gone:
		return 0, http.ErrBodyReadAfterClose
	case s.off >= s.end:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	case s.cur == nil:
		if err := s.open(); err != nil {
			return 0, err
		}
	}
	n, err := s.cur.Read(p[:min(int64(len(p)), s.left)])
	return n, s.advance(int64(n), err)
}

// WriteTo is that of io.WriterTo.
func (s *sliced) WriteTo(w io.Writer) (written int64, err error) {
	for s.off < s.end && !s.gone {
		if s.cur == nil {
			if err := s.open(); err != nil {
				return written, err
			}
		}
		n, err := io.Copy(w, s.cur)
		written += n
		if err == nil {
			err = io.EOF
		}
		if err := s.advance(n, err); err != nil {
			return written, err
		}
	}
	return written, nil
}

// Close is that of io.Closer.
func (s *sliced) Close() error {
	s.gone = true
	if s.cur != nil {
		return s.cur.Close()
	}
	return nil
}
