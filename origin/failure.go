package origin

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"
)

// upstreamError is an error of Proxy.Upstream: the request's fault unless it says otherwise.
type upstreamError struct{ err error }

func (e *upstreamError) Error() string { return fmt.Sprintf("origin: no upstream URL: %v", e.err) }
func (e *upstreamError) Unwrap() error { return e.err }

// caught turns a panic of a hook into an error, so that it costs one request an answer of 500. It is to be deferred.
func caught(err *error) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v)
	}
	*err = panicError(v)
}

func panicError(v any) error {
	return &statusError{status: http.StatusInternalServerError, text: fmt.Sprintf("panic: %v\n%s", v, debug.Stack())}
}

func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(r.Context().Err(), context.Canceled) {
		panic(http.ErrAbortHandler) // nobody listens
	}
	p.report(r, err)
	if p.ErrorHandler != nil {
		p.ErrorHandler(w, r, err)
		return
	}
	status := p.Status(err)
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Length")
	if after := retryAfter(err); after > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
	} else if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		fmt.Fprintln(w, http.StatusText(status))
	}
}

func (p *Proxy) report(r *http.Request, err error) {
	if p.OnFailure != nil && !errors.Is(r.Context().Err(), context.Canceled) {
		p.OnFailure(r, err)
	}
}

func retryAfter(err error) time.Duration {
	var later interface{ RetryAfter() time.Duration }
	if errors.As(err, &later) {
		return later.RetryAfter()
	}
	return 0
}
