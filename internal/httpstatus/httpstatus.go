// Package httpstatus says which status an error stands for.
package httpstatus

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// Of is the status that an error knows for itself, by a method HTTPStatus() int: one of 400 to 599. Any other is none.
func Of(err error) (status int, ok bool) {
	var known interface{ HTTPStatus() int }
	if !errors.As(err, &known) {
		return 0, false
	}
	status = known.HTTPStatus()
	return status, 400 <= status && status <= 599
}

// Or is the status of an error, 504 for a timeout that has none of its own, and def for any other.
func Or(err error, def int) int {
	if status, ok := Of(err); ok {
		return status
	}
	if IsTimeout(err) {
		return http.StatusGatewayTimeout
	}
	return def
}

// IsTimeout reports an error by which a wait ended.
func IsTimeout(err error) bool {
	var slow net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &slow) && slow.Timeout()
}
