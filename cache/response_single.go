package cache

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// single turns resp, which comes on ctx, into the answer to r alone.
func single(t *Transport, ctx context.Context, cancel context.CancelCauseFunc, r *http.Request, resp *http.Response, fwd string) *http.Response {
	resp.Request = r
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	delete(resp.Header, rules.ExactAge)
	delete(resp.Header, rules.Restarted)
	resp.Header.Add("Cache-Status", t.named(cacheName+"; fwd="+fwd))
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp // its Body is also a Writer
	}
	src := resp.Body
	if resp.ContentLength > 0 && r.Method != http.MethodHead && resp.StatusCode != http.StatusNotModified {
		src = httprange.Exact(src, resp.ContentLength)
	}
	resp.Body = &singleBody{t: t, src: src, length: resp.ContentLength, ctx: ctx, cancel: cancel, pause: t.pause(ctx)}
	return resp
}

// singleBody is a body that is not shared. Its reads have an idle limit. Nothing of it is kept.
type singleBody struct {
	t      *Transport
	src    io.ReadCloser
	length int64
	ctx    context.Context
	cancel context.CancelCauseFunc
	pause  time.Duration
	left   func() // called at the end, unless it is nil
	idle   *time.Timer

	size   int64         // so far
	waited time.Duration // for the origin only, without the time that the viewer takes
}

// Read is that of io.Reader.
func (s *singleBody) Read(p []byte) (int, error) {
	if drips(s.t.MinRate, s.size, s.length, s.waited) {
		return 0, errDrips
	}
	if s.idle == nil {
		s.idle = time.AfterFunc(s.pause, func() { s.cancel(&fault{reason: ErrIdle}); s.t.close(s.src) })
	} else {
		s.idle.Reset(s.pause)
	}
	asked := time.Now()
	n, err := s.src.Read(p)
	s.idle.Stop()
	s.size, s.waited = s.size+int64(n), s.waited+time.Since(asked)
	if err != nil && err != io.EOF {
		if cause := context.Cause(s.ctx); cause != nil {
			err = cause
		} else {
			err = &fault{ErrBroken, err}
		}
	}
	return n, err
}

// Close ends the origin's answer.
func (s *singleBody) Close() error {
	if s.left != nil {
		defer s.left() // even if a hook ends the goroutine
	}
	defer s.cancel(nil)
	return s.t.close(s.src)
}
