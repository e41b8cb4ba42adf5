package cache

import (
	"net/http"
	"strconv"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
)

// newEntry is what the header of an answer says of it.
func newEntry(o *flight, resp *http.Response, vary http.Header) *Entry {
	if resp.Header["Date"] == nil {
		resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat)) // RFC 9110 section 6.6.1
	}
	e := &Entry{
		URL: o.req.URL.String(), Status: resp.StatusCode, Header: rules.Storable(resp.Header), Vary: vary,
	}
	e.arrived(resp.Header, o.asked)
	delete(e.Header, "Set-Cookie") // what is shared sets none
	if resp.ContentLength >= 0 {
		e.Header["Content-Length"] = []string{strconv.FormatInt(resp.ContentLength, 10)}
	} else {
		delete(e.Header, "Content-Length")
	}
	return e
}

// arrived sets how old an answer with the header h is that was asked for a while ago and came now.
func (e *Entry) arrived(h http.Header, asked time.Time) {
	now := time.Now()
	e.Time, e.foreign = rules.Made(h, asked, now), 0
	if h[rules.ExactAge] == nil {
		e.foreign = now.Sub(e.Time)
	}
}

// keepable tells whether an answer of this status is ever stored: what is there, what is missing, and what else the
// origin gives a time for (RFC 9111 section 3), but never its own failings. Others are shared while they come and no longer.
func keepable(resp *http.Response, c rules.Control) bool {
	switch status := resp.StatusCode; {
	case status == http.StatusOK, status == http.StatusNotFound, status == http.StatusGone:
		return true
	case status >= http.StatusInternalServerError, c.MustUnderstand && http.StatusText(status) == "":
		return false
	}
	said, ok := c.Lifetime(resp.Header)
	return ok && said > 0
}

// promises tells whether what comes will be stored if it comes whole, as far as the header tells: of a playlist, or with a
// TTL of the caller's, more depends on the body.
func (f *fill) promises() bool {
	e := f.entry
	switch {
	case !f.keep || e.Status != http.StatusOK:
		return false
	case f.t.TTL != nil, f.list:
		return true
	}
	ttl := HLS(e)
	return ttl > e.Age() || ttl >= 0 && rules.Conditional(http.Header{}, e.Header)
}
