package origin

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// ErrForbidden matches every [ForbiddenError] in errors.Is.
var ErrForbidden = errors.New("origin: target not allowed")

// ForbiddenError says that a target must not be reached. Its text names neither host nor address, so that nobody can explore
// the network behind a proxy through its answers. Its Detail names them, for the operator's log.
type ForbiddenError struct {
	Reason string // the rule that it breaks, such as "private address (RFC 1918)"
	Detail string // what to change, such as `host "x" is not in Guard.Hosts`; empty: see Reason
}

// Error gives the rule.
func (e *ForbiddenError) Error() string { return ErrForbidden.Error() + ": " + e.Reason }

// Is makes every ForbiddenError an [ErrForbidden].
func (e *ForbiddenError) Is(target error) bool { return target == ErrForbidden }

// HTTPStatus is 403.
func (e *ForbiddenError) HTTPStatus() int { return http.StatusForbidden }

func forbidden(reason string) error { return &ForbiddenError{Reason: reason} }

// statusError is a refusal with a status.
type statusError struct {
	status int
	text   string
	after  time.Duration // for Retry-After; 0: none
}

func (e *statusError) Error() string             { return "origin: " + e.text }
func (e *statusError) HTTPStatus() int           { return e.status }
func (e *statusError) RetryAfter() time.Duration { return e.after }

// slowError ends a wait. It is a net.Error, because other packages look for Timeout.
type slowError string

func (e slowError) Error() string { return "origin: " + string(e) }
func (slowError) Timeout() bool   { return true }
func (slowError) Temporary() bool { return true }
func (slowError) HTTPStatus() int { return http.StatusGatewayTimeout }

// upstreamError is an error of Proxy.Upstream. It is a 400 unless it has another status.
type upstreamError struct{ err error }

func (e *upstreamError) Error() string { return fmt.Sprintf("origin: no upstream URL: %v", e.err) }
func (e *upstreamError) Unwrap() error { return e.err }

// caught turns a panic of a hook into an error, so that one request gets a 500. It must be deferred.
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

// shown is a path without parts that are long enough to be a token: more people read a log than should have the link.
func shown(path string) string {
	parts := strings.Split(path[:min(len(path), 500)], "/")
	for i, part := range parts {
		if len(part) > 40 {
			parts[i] = part[:8] + "..."
		}
	}
	return strings.Join(parts, "/")
}

// explain tells the operator why a request failed, and which field would change that.
func explain(err error) string {
	var no *ForbiddenError
	if errors.As(err, &no) && no.Detail != "" {
		return no.Detail
	}
	return err.Error()
}

func retryAfter(err error) time.Duration {
	var later interface{ RetryAfter() time.Duration }
	if errors.As(err, &later) {
		return later.RetryAfter()
	}
	return 0
}
