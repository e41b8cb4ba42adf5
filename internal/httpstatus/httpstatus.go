// Package httpstatus tells the HTTP status of an error, and what a status says about the server that sent it.
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

// Failed reports whether a status says that the server has failed (RFC 5861 section 4).
func Failed(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// IsMissing reports whether a status says that the server has nothing under this URL (RFC 9110 sections 15.5.5 and 15.5.11).
func IsMissing(status int) bool { return status == http.StatusNotFound || status == http.StatusGone }

// IsTimeout reports whether an error ended a wait.
func IsTimeout(err error) bool {
	var slow net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &slow) && slow.Timeout()
}
