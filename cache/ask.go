package cache

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// ask puts the question to Base and waits for the header as long as it may take.
func (o *opening) ask() (*http.Response, error) {
	patience := time.AfterFunc(o.t.patience(o.req), func() { o.cancel(&fault{reason: ErrIdle}) })
	resp, err := o.t.ask(o.req)
	if err == nil && (resp == nil || resp.Body == nil) {
		err = &fault{ErrBroken, errors.New("no response")}
	}
	if !patience.Stop() && err == nil {
		resp.Body.Close()
		err = &fault{reason: ErrIdle}
	}
	if err != nil {
		if cause := context.Cause(o.req.Context()); cause != nil {
			err = cause
		}
	}
	return resp, err
}

// failed ends an opening to which there is no answer.
func (o *opening) failed(err error) error {
	if err != errAbandoned {
		o.t.count.errors.Add(1)
		if o.rescued(0) {
			o.report(Fill{Err: err})
			return nil
		}
	}
	o.cancel(nil)
	o.publish(func() {})
	o.report(Fill{Err: err})
	return err
}

// failure tells which answers of an origin are its own failing (RFC 5861 section 4).
func failure(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}
