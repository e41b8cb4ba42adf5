// Package httpstatus tells the HTTP status of an error.
package httpstatus

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// Of is the status that an error gives by a method HTTPStatus() int, if it is one of 400 to 599. ok is false otherwise.
func Of(err error) (status int, ok bool) {
	var known interface{ HTTPStatus() int }
	if !errors.As(err, &known) {
		return 0, false
	}
	status = known.HTTPStatus()
	return status, 400 <= status && status <= 599
}

// Or is the status of an error, 504 for a timeout without a status of its own, and def for any other error.
func Or(err error, def int) int {
	if status, ok := Of(err); ok {
		return status
	}
	if IsTimeout(err) {
		return http.StatusGatewayTimeout
	}
	return def
}

// IsTimeout reports whether an error ended a wait.
func IsTimeout(err error) bool {
	var slow net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &slow) && slow.Timeout()
}
