package cache

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// A Transport gives up on an answer for one of these reasons. The errors of RoundTrip and of Body.Read wrap them, and have the
// methods HTTPStatus() int and Timeout() bool.
var (
	// ErrIdle: the origin sent nothing for Transport.Idle. HTTPStatus is 504.
	ErrIdle = errors.New("cache: the origin is silent")
	// ErrBroken: the origin's answer broke off, has the wrong length, or does not fit the request. HTTPStatus is 502.
	ErrBroken = errors.New("cache: the origin's answer is broken")
	// ErrBusy: Transport.MaxFills answers are already being fetched. HTTPStatus is 503, and RetryAfter() time.Duration says
	// when to come back.
	ErrBusy = errors.New("cache: too many fills in flight")
	// ErrHook: Base, Store, TTL, Key or Refs panicked, or ended its goroutine. HTTPStatus is 502.
	ErrHook = errors.New("cache: a hook panicked")
)

// errAbandoned ends a fill that nobody waits for.
var errAbandoned = errors.New("cache: everybody has left")

// errBarred: the answer was purged or displaced while it was fetched, and is not stored.
var errBarred = errors.New("cache: purged or displaced while it was fetched")

// fault adds a cause and a status to one of the reasons above.
type fault struct {
	reason, cause error
}

func (f *fault) Error() string {
	if f.cause == nil {
		return f.reason.Error()
	}
	return f.reason.Error() + ": " + f.cause.Error()
}

func (f *fault) Unwrap() []error { return []error{f.reason, f.cause} }

// HTTPStatus is the status a proxy should send if it has sent nothing yet.
func (f *fault) HTTPStatus() int {
	switch f.reason {
	case ErrIdle:
		return http.StatusGatewayTimeout
	case ErrBusy:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}

// Timeout is that of net.Error.
func (f *fault) Timeout() bool { return f.reason == ErrIdle }

// Temporary is that of net.Error.
func (f *fault) Temporary() bool { return f.reason == ErrBusy }

// RetryAfter is how long a client should stay away. 0: unknown.
func (f *fault) RetryAfter() time.Duration {
	if f.reason == ErrBusy {
		return time.Second
	}
	return 0
}

// hookFault turns the value of a recover into an error.
func hookFault(p any) error {
	if err, ok := p.(error); ok {
		return &fault{ErrHook, err}
	}
	return &fault{ErrHook, fmt.Errorf("%v", p)}
}
