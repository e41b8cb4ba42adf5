package cache

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
)

// passAlone asks the origin for one viewer, because the answer under this key is known to be unshareable.
func (t *Transport) passAlone(r *http.Request) (*http.Response, error) {
	t.count.misses.Add(1)
	return t.pass(r, statusAlone)
}

// passBeside asks the origin for one viewer who cannot join a broadcast. Such an answer has no end either, so it takes one of
// the places of MaxFills.
func (t *Transport) passBeside(r *http.Request) (*http.Response, error) {
	t.mu.Lock()
	if !t.makeRoom(t.maxFills()) {
		t.mu.Unlock()
		t.count.errors.Add(1)
		return nil, &fault{reason: ErrBusy}
	}
	t.beside++
	t.mu.Unlock()
	left := sync.OnceFunc(func() {
		t.mu.Lock()
		t.beside--
		t.mu.Unlock()
	})
	stays := false
	defer func() {
		if !stays {
			left()
		}
	}()
	resp, err := t.passAlone(r)
	if err != nil {
		return nil, err
	}
	if s, ok := resp.Body.(*single); ok {
		s.left, stays = left, true
	}
	return resp, nil
}

// pass hands a request to Base as it is, with the viewer's own context, but with the usual idle limit.
func (t *Transport) pass(r *http.Request, fwd string) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	if r.Body == nil || r.Body == http.NoBody {
		patience := time.AfterFunc(t.patience(r), func() { cancel(&fault{reason: ErrIdle}) })
		defer patience.Stop()
	}
	resp, err := t.ask(withoutTier(r.WithContext(ctx)))
	if err == nil && (resp == nil || resp.Body == nil) {
		err = &fault{reason: ErrBroken}
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && r.Context().Err() == nil {
			err = cause
		}
		cancel(nil)
		return nil, err
	}
	t.invalidate(r, resp)
	return t.single(ctx, cancel, r, resp, fwd), nil
}

// single turns resp, which comes on ctx, into the answer to r alone.
func (t *Transport) single(ctx context.Context, cancel context.CancelCauseFunc, r *http.Request, resp *http.Response, fwd string) *http.Response {
	resp.Request = r
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	delete(resp.Header, rules.ExactAge)
	resp.Header.Add("Cache-Status", t.named(cacheName+"; fwd="+fwd))
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp // its Body is also a Writer
	}
	resp.Body = &single{t: t, src: resp.Body, length: resp.ContentLength, ctx: ctx, cancel: cancel, pause: t.pause(ctx)}
	return resp
}

// single is a body that is not shared. Its reads have an idle limit. Nothing of it is kept.
type single struct {
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
func (s *single) Read(p []byte) (int, error) {
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
func (s *single) Close() error {
	if s.left != nil {
		defer s.left() // even if a hook ends the goroutine
	}
	defer s.cancel(nil)
	return s.t.close(s.src)
}
