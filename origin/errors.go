package origin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// ErrForbidden is what every [ForbiddenError] is, for errors.Is.
var ErrForbidden = errors.New("origin: target not allowed")

// ForbiddenError says that a target must not be reached. Its text names neither host nor address, so that nobody can
// use a proxy's answers to look into the network behind it. Its Detail does, for the operator's log.
type ForbiddenError struct {
	Reason string // what rule it breaks, such as "private address (RFC 1918)"
	Detail string // what to change, such as `host "x" is not in Guard.Hosts`; empty: Reason says all
}

// Error gives the rule.
func (e *ForbiddenError) Error() string { return ErrForbidden.Error() + ": " + e.Reason }

// Is makes every ForbiddenError an [ErrForbidden].
func (e *ForbiddenError) Is(target error) bool { return target == ErrForbidden }

// HTTPStatus is 403.
func (e *ForbiddenError) HTTPStatus() int { return http.StatusForbidden }

func forbidden(reason string) error { return &ForbiddenError{Reason: reason} }

// statusError is a refusal that knows its status.
type statusError struct {
	status int
	text   string
	after  time.Duration // for Retry-After; 0: none
}

func (e *statusError) Error() string             { return "origin: " + e.text }
func (e *statusError) HTTPStatus() int           { return e.status }
func (e *statusError) RetryAfter() time.Duration { return e.after }

// slowError ends a wait. It is a net.Error, as other packages look for Timeout.
type slowError string

func (e slowError) Error() string { return "origin: " + string(e) }
func (slowError) Timeout() bool   { return true }
func (slowError) Temporary() bool { return true }
func (slowError) HTTPStatus() int { return http.StatusGatewayTimeout }

// statusOf is the status that an error stands for: its own, 504 for a timeout, otherwise def.
func statusOf(err error, def int) int {
	var known interface{ HTTPStatus() int }
	if errors.As(err, &known) {
		if s := known.HTTPStatus(); s >= 400 && s <= 599 {
			return s
		}
	}
	if isTimeout(err) {
		return http.StatusGatewayTimeout
	}
	return def
}

func isTimeout(err error) bool {
	var slow net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &slow) && slow.Timeout()
}
