package cache

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// sliced is the body of a response that is made of slices.
type sliced struct {
	t        *Transport
	r        *http.Request
	key      string
	head     *Entry
	off, end int64
	left     int64 // of cur

	mu   sync.Mutex    // Close may be called during a Read
	cur  io.ReadCloser // the slice that holds off; nil: to be opened
	gone bool
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
	r := s.r.WithContext(s.r.Context())
	r.Method, r.Header = http.MethodGet, fillHeader(r)
	resp, err := s.t.slice(r, part.key(s.key), part)
	if err != nil {
		if errors.Is(err, ErrChanged) {
			s.t.changed(r, s.key, s.head)
		}
		return err
	}
	s.left = part.to - part.from
	return s.turn(resp.Body)
}

// slice finds one slice or asks for it.
func (t *Transport) slice(r *http.Request, key string, part *slice) (*http.Response, error) {
	have := t.lookup(r, key)
	have.part = part
	if have.entry != nil {
		if resp := t.serve(r, have, statusHit); resp != nil {
			return resp, nil
		}
	}
	return t.join(r, found{primary: key, key: key, part: part}, true)
}

// changed forgets the Entry of a whole that the origin has replaced, unless another has taken its place.
func (t *Transport) changed(r *http.Request, key string, head *Entry) {
	t.setAlone(key)
	f, err := t.get(r, key)
	if err == nil && f.entry != nil && f.entry.Time.Equal(head.Time) {
		t.tombstone(r.Context(), key, head.URL)
	}
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
		return s.turn(nil)
	}
	return nil
}

// turn closes the slice at hand, if there is one, and goes on with next, nil for one that is to be opened.
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

// slice is the one at hand, opened if need be.
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
