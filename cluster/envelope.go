package cluster

import (
	"errors"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
)

// originFault is a fault of the origin that another node has seen. It replaces the error that this node would have had.
type originFault struct {
	status int
	after  time.Duration
	reason error
}

func (f *originFault) Error() string {
	return "cluster: the origin, by way of another node: " + http.StatusText(f.status)
}
func (f *originFault) Unwrap() error             { return f.reason }
func (f *originFault) HTTPStatus() int           { return f.status }
func (f *originFault) RetryAfter() time.Duration { return f.after }
func (f *originFault) Timeout() bool             { return f.status == http.StatusGatewayTimeout }
func (f *originFault) Temporary() bool           { return f.Timeout() }

// faultOf reads an error out of an envelope.
func faultOf(status int, h http.Header) error {
	f := &originFault{status: status}
	if n, err := strconv.Atoi(h.Get("Retry-After")); err == nil && n > 0 {
		f.after = time.Duration(n) * time.Second
	}
	switch status {
	case http.StatusGatewayTimeout:
		f.reason = cache.ErrIdle
	case http.StatusBadGateway:
		f.reason = cache.ErrBroken
	}
	return f
}

// statusOf is the status that a proxy would send for an error.
func statusOf(err error) int {
	var known interface{ HTTPStatus() int }
	if errors.As(err, &known) {
		if s := known.HTTPStatus(); 400 <= s && s <= 599 {
			return s
		}
	}
	var slow net.Error
	if errors.As(err, &slow) && slow.Timeout() {
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

// forwarded are the fields of a viewer's request that are sent to another node: all but those of the connection, and our own.
func forwarded(h http.Header) http.Header {
	out := make(http.Header, len(h)+4)
	for name, values := range h {
		if name = textproto.CanonicalMIMEHeaderKey(name); isHop(name) || strings.HasPrefix(name, ours) {
			continue
		}
		trimmed := make([]string, 0, len(values))
		for _, v := range values {
			trimmed = append(trimmed, strings.Trim(v, " \t"))
		}
		if name == "User-Agent" && len(trimmed) == 1 && trimmed[0] == "" {
			continue // net/http does not send it; see [received]
		}
		out[name] = trimmed
	}
	return out
}

// received restores the input of forwarded from the fields that a proof covers.
func received(covered http.Header) http.Header {
	h := make(http.Header, len(covered)+2)
	for name, values := range covered {
		if !isHop(name) && !strings.HasPrefix(name, ours) && len(values) > 0 {
			h[name] = values
		}
	}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = []string{""} // otherwise net/http adds one
	}
	return h
}

// isHop reports whether a field concerns one connection, or is written by net/http.
func isHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Host",
		"Content-Length", "Proxy-Authenticate", "Proxy-Authorization", "Cookie", "Authorization", "Expect":
		return true
	}
	return false
}

// wrap writes the header of an answer into an envelope.
func wrap(out http.Header, resp *http.Response) {
	for name, values := range resp.Header {
		if !strings.HasPrefix(name, ours) || name == fieldAge || name == fieldRestarted {
			if !isHop(name) {
				out[name] = values
			}
		}
	}
	for _, name := range [...]string{"Content-Type", "Date"} {
		if _, ok := out[name]; !ok {
			out[name] = nil // otherwise net/http adds one
		}
	}
	out.Set(fieldStatus, strconv.Itoa(resp.StatusCode))
	if resp.ContentLength >= 0 {
		out.Set(fieldLength, strconv.FormatInt(resp.ContentLength, 10))
	}
	if v := resp.Header["Content-Length"]; len(v) == 1 && resp.ContentLength < 0 {
		out.Set(fieldLength, v[0])
	}
}

// unwrap turns an envelope into an answer. The caller sets the body.
func unwrap(r *http.Request, env *http.Response, status int) *http.Response {
	h := env.Header
	resp := &http.Response{
		Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, Request: r, ContentLength: -1,
	}
	if n, err := strconv.ParseInt(h.Get(fieldLength), 10, 64); err == nil && n >= 0 {
		resp.ContentLength = n
		h.Set("Content-Length", h.Get(fieldLength))
	}
	for name := range h {
		if strings.HasPrefix(name, ours) && name != fieldAge && name != fieldRestarted {
			delete(h, name)
		}
	}
	delete(h, "Trailer")
	return resp
}

// hasBody reports whether an answer with this status has a body.
func hasBody(method string, status int) bool {
	return method != http.MethodHead && status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
