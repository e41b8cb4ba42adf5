package cache

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/body"
	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
)

// reply is an answer and what it is made of, in one piece of memory.
type reply struct {
	entry    Entry    // what the Store has; not that of a fill or of a foreign Store
	room     []string // for more values of its header
	response http.Response
	body     viewer // if it comes from memory
}

func (a *reply) found() found {
	if a == nil {
		return found{}
	}
	if a.entry.Sliced > 0 {
		return found{entry: &a.entry} // which the slices are compared with later
	}
	return found{entry: &a.entry, own: a}
}

// respond makes the response with the bytes from off up to end.
func (t *Transport) respond(r *http.Request, s source, status int, off, end int64) (*http.Response, error) {
	a, f := s.own, fields{}
	if a != nil && a.entry.Header != nil {
		f = fields{a.entry.Header, a.room}
	} else {
		a, f = new(reply), newFields(s.entry.Header)
	}
	f.add("Cache-Status", t.named(s.status))
	if s.age {
		f.set("Age", strconv.FormatInt(int64(s.entry.Age()/time.Second), 10))
	}
	if r.Header[tierField] != nil {
		f.set(rules.ExactAge, strconv.FormatInt(s.entry.Age().Milliseconds(), 10))
	} else if s.entry.Live {
		f.bounded(s.entry, s.age)
	}
	resp := &a.response
	*resp = http.Response{
		Status: statusLine(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: f.header, Request: r, Body: http.NoBody,
	}
	switch status {
	case http.StatusNotModified, http.StatusPreconditionFailed:
		withoutContent(f.header)
		if status == http.StatusPreconditionFailed {
			withoutFreshness(f.header)
			f.set("Content-Length", "0")
		}
		return resp, nil
	case http.StatusRequestedRangeNotSatisfiable:
		withoutContent(f.header)
		withoutFreshness(f.header)
		f.set("Content-Range", "bytes */"+strconv.FormatInt(s.length, 10))
		f.set("Content-Length", "0")
		return resp, nil
	case http.StatusPartialContent:
		if s.part == nil {
			f.acceptRanges()
		}
		resp.ContentLength = f.contentRange(off, end, s.length)
	case http.StatusOK:
		f.acceptRanges()
		fallthrough
	default:
		resp.ContentLength = s.length
	}
	if r.Method == http.MethodHead || resp.ContentLength == 0 {
		return resp, nil
	}
	var err error
	resp.Body, err = t.open(r, s, off, end, &a.body)
	return resp, err
}

// open returns the body of a response, v if it comes from memory. The caller holds what it is made of.
func (t *Transport) open(r *http.Request, s source, off, end int64, v *viewer) (io.ReadCloser, error) {
	if s.fill != nil {
		v.ctx = r.Context()
		s.fill.show(v, off, end)
		return v, nil
	}
	v.ctx, v.sent = r.Context(), &t.count.storeBytes
	end = min(end, s.length)
	if s.entry.Sliced > 0 {
		return t.newSliced(r, s.key, s.entry, off, end)
	}
	switch b := s.entry.Body.(type) {
	case *fileBody:
		return b.reader(v.ctx, off, end, v.sent)
	case *body.Blob:
		b.Open(&v.part, off, end)
		return v, nil
	case *body.Lent:
		b.Open(&v.part, off, end)
		return v, nil
	default:
		src := io.NewSectionReader(b, off, end-off)
		return &readerAtBody{limited: limited{ctx: v.ctx, left: end - off, sent: v.sent}, src: src}, nil
	}
}

func statusLine(status int) string {
	switch status {
	case http.StatusOK:
		return "200 OK"
	case http.StatusPartialContent:
		return "206 Partial Content"
	}
	return strconv.Itoa(status) + " " + http.StatusText(status)
}
