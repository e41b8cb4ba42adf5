package cache

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"
)

// The Cache-Status (RFC 9211) of each way that an answer can take.
const (
	cacheName       = "hlsproxy"
	statusHit       = cacheName + "; hit"
	statusHitStale  = cacheName + "; hit; detail=stale"
	statusMiss      = cacheName + "; fwd=uri-miss"
	statusStale     = cacheName + "; fwd=stale"
	statusConfirmed = cacheName + "; fwd=stale; fwd-status=304"
	statusShared    = cacheName + "; fwd=stale; collapsed"
	statusBypass    = "bypass"
	statusMethod    = "method"
	statusAlone     = "uri-miss"
)

// source is what an answer is made of: an Entry that is whole, or a fill with what it knows so far.
type source struct {
	entry  *Entry
	fill   *fill // nil: whole
	length int64 // -1: not known yet
	status string
	age    bool
	own    bool   // nobody else looks at the header of entry
	key    string // of entry, to find its slices by
}

// serve answers with what was found in the Store; nil if it cannot: its memory was given to another meanwhile, or the
// first of its slices is not to be had.
func (t *Transport) serve(r *http.Request, have found, status string) *http.Response {
	e := have.entry
	if !hold(e) {
		return nil
	}
	defer letGo(e)
	s := source{entry: e, length: e.length(), status: status, age: true, own: have.own, key: have.key}
	resp, err := t.answer(r, s)
	if err != nil {
		return nil
	}
	return resp
}

// follow answers from a running fill, of which the caller holds a share.
func (t *Transport) follow(r *http.Request, f *fill, joined bool) (*http.Response, error) {
	s := source{entry: f.entry, fill: f, length: f.body.length, status: f.how, age: joined || f.aged}
	switch {
	case joined:
		s.status += "; collapsed"
	case f.keep && f.entry.Status == http.StatusOK:
		s.status += "; stored"
	}
	resp, err := t.answer(r, s)
	if err != nil || resp.Body == http.NoBody {
		f.leave(1)
	}
	return resp, err
}

// answer judges the conditions of r, in the order of RFC 9110 section 13.2.2, and makes the response.
func (t *Transport) answer(r *http.Request, s source) (*http.Response, error) {
	e := s.entry
	if p := sliceOf(r.Context()); p != nil {
		return t.respond(r, s, e.Status, p.from, p.to)
	}
	if e.Status != http.StatusOK {
		return t.respond(r, s, e.Status, 0, math.MaxInt64)
	}
	if status := precondition(r, e.Header); status != 0 {
		return t.respond(r, s, status, 0, 0)
	}
	want, ok := wanted(r, e.Header)
	if !ok {
		return t.respond(r, s, http.StatusOK, 0, math.MaxInt64)
	}
	if s.length < 0 {
		length, err := s.fill.learn(r.Context(), want)
		if err != nil {
			return nil, err
		}
		s.length = length
	}
	off, end, status := want.in(s.length)
	return t.respond(r, s, status, off, end)
}

// respond makes the response with the bytes from off up to end.
func (t *Transport) respond(r *http.Request, s source, status int, off, end int64) (*http.Response, error) {
	h := s.entry.Header
	if !s.own || h == nil {
		h = make(http.Header, len(h)+ours)
		copyHeader(h, s.entry.Header)
	}
	h["Cache-Status"] = append(h["Cache-Status"], s.status)
	if s.age {
		h["Age"] = []string{strconv.FormatInt(int64(s.entry.Age()/time.Second), 10)}
	}
	resp := &http.Response{
		Status: statusLine(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Request: r, Body: http.NoBody,
	}
	switch status {
	case http.StatusNotModified, http.StatusPreconditionFailed:
		withoutContent(h)
		if status == http.StatusPreconditionFailed {
			h["Content-Length"] = []string{"0"}
		}
		return resp, nil
	case http.StatusRequestedRangeNotSatisfiable:
		withoutContent(h)
		h["Content-Range"] = []string{"bytes */" + strconv.FormatInt(s.length, 10)}
		h["Content-Length"] = []string{"0"}
		return resp, nil
	case http.StatusPartialContent:
		resp.ContentLength = contentRange(h, off, end, s.length)
	case http.StatusOK:
		h["Accept-Ranges"] = []string{"bytes"}
		fallthrough
	default:
		resp.ContentLength = s.length
	}
	if r.Method == http.MethodHead || resp.ContentLength == 0 {
		return resp, nil
	}
	var err error
	resp.Body, err = t.open(r, s, off, end)
	return resp, err
}

// contentRange sets the fields of a 206 and returns its length, -1 if it is open (RFC 8673).
func contentRange(h http.Header, off, end, length int64) int64 {
	last, total := end-1, "*"
	if length >= 0 {
		total = strconv.FormatInt(length, 10)
	}
	if end == math.MaxInt64 {
		last = veryLast
		delete(h, "Content-Length")
	} else {
		h["Content-Length"] = []string{strconv.FormatInt(end-off, 10)}
	}
	h["Content-Range"] = []string{"bytes " + strconv.FormatInt(off, 10) + "-" + strconv.FormatInt(last, 10) + "/" + total}
	if end == math.MaxInt64 {
		return -1
	}
	return end - off
}

// open returns the body of a response. The caller holds what it is made of.
func (t *Transport) open(r *http.Request, s source, off, end int64) (io.ReadCloser, error) {
	if s.fill != nil {
		return t.followed(r.Context(), s.fill, off, end), nil
	}
	end = min(end, s.length)
	if s.entry.Sliced > 0 {
		return t.newSliced(r, s.key, s.entry, off, end)
	}
	switch b := s.entry.Body.(type) {
	case *fileBody:
		return b.reader(r.Context(), off, end, &t.count.storeBytes)
	case *blob:
		b.pages.hold()
		return &viewer{ctx: r.Context(), body: b, mem: b.pages, sent: &t.count.storeBytes, off: off, end: end}, nil
	case *heldBody:
		return &viewer{ctx: r.Context(), body: b, sent: &t.count.storeBytes, off: off, end: end}, nil
	default:
		src := io.NewSectionReader(b, off, end-off)
		return &foreign{stretch: stretch{ctx: r.Context(), left: end - off, sent: &t.count.storeBytes}, src: src}, nil
	}
}

// followed is the body of a viewer of a running fill.
func (t *Transport) followed(ctx context.Context, f *fill, off, end int64) *viewer {
	f.body.pages.hold()
	v := &viewer{ctx: ctx, body: f.body, mem: f.body.pages, fill: f, sent: &t.count.fillBytes, off: off, end: end}
	v.reached.Store(off)
	t.mu.Lock()
	defer t.mu.Unlock()
	f.viewers[v] = struct{}{}
	return v
}

func statusLine(status int) string {
	if status == http.StatusOK {
		return "200 OK"
	}
	return strconv.Itoa(status) + " " + http.StatusText(status)
}

// ours is how many fields an answer is given besides those of its origin.
const ours = 3

// copyHeader copies h into out, values included: viewers may change theirs.
func copyHeader(out, h http.Header) {
	n := 0
	for _, values := range h {
		n += len(values)
	}
	all := make([]string, 0, n)
	for name, values := range h {
		from := len(all)
		all = append(all, values...)
		out[name] = all[from:len(all):len(all)]
	}
}

// withoutContent removes what describes a content that is not sent (RFC 9110 section 15.4.5).
func withoutContent(h http.Header) {
	for _, name := range [...]string{"Content-Length", "Content-Type", "Content-Encoding", "Content-Language", "Content-Range"} {
		delete(h, name)
	}
}

func isUnsupported(err error) bool { return errors.Is(err, http.ErrNotSupported) }
