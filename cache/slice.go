package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/coding"
	"github.com/hlsproxy/hlsproxy/internal/httprange"
	"github.com/hlsproxy/hlsproxy/internal/httpstatus"
)

// A body longer than MaxBody is kept in slices that begin at multiples of sliceSize. Each is an Entry of its own. The viewer
// that needs it first fetches it, with a Range. The keys of slices name the version of the whole (its validators and length),
// and each slice is checked against it, so that parts of two versions never come together.

const sliceSize = 2 << 20

// slice is one slice, as a viewer asks for it.
type slice struct {
	head     *Entry // of the whole
	off, end int64  // of the slice in the whole
	from, to int64  // the part of the slice that the viewer wants, from the slice's beginning
}

// sliceAt is the slice that holds off.
func sliceAt(head *Entry, off int64) *slice {
	off -= off % sliceSize
	end := min(off+sliceSize, head.Sliced)
	return &slice{head: head, off: off, end: end, to: end - off}
}

// key is the key of the slice; whole is the key of the whole.
func (s *slice) key(whole string) string {
	name, value := rules.Strong(s.head.Header)
	return whole + ofPart + "slice\x00" + name + "\x00" + value + "\x00" +
		strconv.FormatInt(s.head.Sliced, 10) + "\x00" + strconv.FormatInt(s.off/sliceSize, 10)
}

// shown is the Content-Range of the slice.
func (s *slice) shown() string {
	return "bytes " + strconv.FormatInt(s.off, 10) + "-" + strconv.FormatInt(s.end-1, 10) + "/" + strconv.FormatInt(s.head.Sliced, 10)
}

// with returns a context in which SliceOf finds the slice.
func (s *slice) with(ctx context.Context) context.Context {
	return context.WithValue(ctx, sliceKey{}, s)
}

// sliceable reports whether a body that is too long for one Entry can be kept in slices.
func sliceable(resp *http.Response) bool {
	h := resp.Header
	name, _ := rules.Strong(h)
	return resp.StatusCode == http.StatusOK && resp.ContentLength > 0 && h.Get("Accept-Ranges") != "none" &&
		name != "" && !coding.Is(h)
}

// ask turns the header of a fill's request into that for the slice. With a strong validator, the origin need not send bytes of
// another version (RFC 9110 section 13.1.5).
func (s *slice) ask(h http.Header) {
	h["Range"] = []string{"bytes=" + strconv.FormatInt(s.off, 10) + "-" + strconv.FormatInt(s.end-1, 10)}
	if name, tag := rules.Strong(s.head.Header); name == "Etag" {
		h["If-Range"] = []string{tag}
	}
}

// check refuses an answer of the origin that is not the slice: of another version, or for other viewers.
func (s *slice) check(q *question, resp *http.Response) error {
	h := resp.Header
	name, value := rules.Strong(s.head.Header)
	part, _ := httprange.ParseContentRange(h)
	same := resp.StatusCode == http.StatusPartialContent && part.String() == s.shown() && len(h[name]) == 1 && h.Get(name) == value && !coding.Is(h)
	for _, other := range [...]string{"Etag", "Last-Modified"} {
		if now := h.Get(other); now != "" { // it may be missing (RFC 9110 section 15.3.7)
			same = same && now == s.head.Header.Get(other)
		}
	}
	c := rules.ParseControl(h)
	shared := !q.isPersonal(c, h, h) && s.variesAlike(q, h)
	if same && shared && (resp.ContentLength < 0 || resp.ContentLength == s.end-s.off) {
		resp.ContentLength = s.end - s.off
		return nil
	}
	resp.Body.Close()
	if httpstatus.Failed(resp.StatusCode) {
		return &fault{ErrBroken, fmt.Errorf("status %d for a slice", resp.StatusCode)}
	}
	return &fault{ErrBroken, ErrChanged}
}

// get finds the slice, or asks for it.
func (s *slice) get(t *Transport, r *http.Request, key string) (*http.Response, error) {
	have := t.lookup(r, key)
	have.part = s
	if have.entry != nil {
		if resp := t.serve(r, have, statusHit); resp != nil {
			return resp, nil
		}
	}
	return t.join(r, lookupResult{primary: key, key: key, part: s}, true)
}

// variesAlike reports whether a slice varies by no field that the whole does not vary by.
func (s *slice) variesAlike(q *question, h http.Header) bool {
	vary, ok := q.varyOf(h)
	for name := range vary {
		_, known := s.head.Vary[name]
		ok = ok && known
	}
	return ok
}

// sliced is the body of a response that is made from slices.
type sliced struct {
	t        *Transport
	r        *http.Request
	key      string
	head     *Entry
	off, end int64
	left     int64 // of cur

	mu   sync.Mutex    // Close may be called during a Read
	cur  io.ReadCloser // the slice that holds off; nil: not opened yet
	gone bool
}

// newSliced opens the first slice, so that a failure is known before anything is sent.
func newSliced(t *Transport, r *http.Request, key string, head *Entry, off, end int64) (*sliced, error) {
	s := &sliced{t: t, r: r, key: key, head: head, off: off, end: end}
	return s, s.open()
}

// open opens the slice that holds off.
func (s *sliced) open() error {
	part := sliceAt(s.head, s.off)
	part.from, part.to = s.off-part.off, min(s.end, part.end)-part.off
	r := s.r.WithContext(s.r.Context())
	r.Method, r.Header = http.MethodGet, fillHeader(r)
	resp, err := part.get(s.t, r, part.key(s.key))
	if err != nil {
		if errors.Is(err, ErrChanged) {
			s.changed(r)
		}
		return err
	}
	s.left = part.to - part.from
	return s.turn(resp.Body)
}

// changed forgets the Entry of a whole that the origin has replaced, unless another has taken its place.
func (s *sliced) changed(r *http.Request) {
	s.t.unshareable.add(unshareableFor, s.key)
	f, err := s.t.get(r, s.key, headerRoom{})
	if err == nil && f.entry != nil && f.entry.Time.Equal(s.head.Time) {
		s.t.tombstone(r.Context(), s.key, s.head.URL)
	}
}

// advance counts what was read of the slice, and reports the end of the whole as io.EOF.
func (s *sliced) advance(n int64, err error) error {
	s.off += n
	s.left -= n
	switch {
	case err != nil && err != io.EOF:
		return err
	case s.left > 0 && err == io.EOF:
		return io.ErrUnexpectedEOF
	case s.left == 0:
		return s.turn(nil)
	}
	return nil
}

// turn closes the open slice, if there is one, and continues with next. Nil: the next one is opened later.
func (s *sliced) turn(next io.ReadCloser) (err error) {
	s.mu.Lock()
	old := s.cur
	s.cur = next
	if s.gone {
		old, s.cur, err = next, nil, http.ErrBodyReadAfterClose
	}
	s.mu.Unlock()
	if old != nil {
		old.Close()
	}
	return err
}

// slice is the slice that is being read. It is opened if needed.
func (s *sliced) slice() (io.ReadCloser, error) {
	for {
		s.mu.Lock()
		cur, gone := s.cur, s.gone
		s.mu.Unlock()
		switch {
		case gone:
			return nil, http.ErrBodyReadAfterClose
		case cur != nil:
			return cur, nil
		}
		if err := s.open(); err != nil {
			return nil, err
		}
	}
}

// Read is that of io.Reader.
func (s *sliced) Read(p []byte) (int, error) {
	switch {
	case s.off >= s.end:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	cur, err := s.slice()
	if err != nil {
		return 0, err
	}
	n, err := cur.Read(p[:min(int64(len(p)), s.left)])
	return n, s.advance(int64(n), err)
}

// WriteTo is that of io.WriterTo.
func (s *sliced) WriteTo(w io.Writer) (written int64, err error) {
	for s.off < s.end {
		cur, err := s.slice()
		if err != nil {
			return written, err
		}
		n, err := io.Copy(w, cur)
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
	s.mu.Lock()
	s.gone = true
	cur := s.cur
	s.cur = nil
	s.mu.Unlock()
	if cur != nil {
		return cur.Close()
	}
	return nil
}

// Slice is a piece of a body that is too long to be kept in one. A Base that spreads slices over several caches asks them with
// RoundTripSlice.
type Slice struct {
	// Off and End are its bounds in the whole, and Length is the length of the whole, in bytes.
	Off, End, Length int64
	// Header has the fields of the whole that identify its version and its audience: ETag, Last-Modified, Date and Vary.
	Header http.Header
}

// ErrChanged: the origin now has another version of the whole, so the slice cannot be fetched. HTTPStatus is 502.
var ErrChanged = errors.New("cache: the slice is not of the body it was asked for")

// versionFields are the fields of a whole that are compared with those of its slices.
var versionFields = [...]string{"Etag", "Last-Modified", "Date", "Vary"}

type sliceKey struct{}

// SliceOf reports whether a request that a Transport sends to Base is for a slice, and returns that slice.
func SliceOf(r *http.Request) (s Slice, ok bool) {
	part, ok := r.Context().Value(sliceKey{}).(*slice)
	if !ok {
		return Slice{}, false
	}
	s = Slice{Off: part.off, End: part.end, Length: part.head.Sliced, Header: http.Header{}}
	for _, name := range versionFields {
		if v := part.head.Header[name]; v != nil {
			s.Header[name] = v
		}
	}
	return s, true
}

// IsSliced reports whether the body of an answer is put together from slices while it is read. Each slice that is not in the
// Store costs a request: a caller that needs only the header should not read the body.
func IsSliced(resp *http.Response) bool {
	_, ok := resp.Body.(*sliced)
	return ok
}
