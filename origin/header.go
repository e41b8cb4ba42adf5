package origin

import (
	"maps"
	"net/http"
)

// WithHeader returns a RoundTripper that sets the fields that header returns for a request, in place of fields with the same
// name, and sends the request to base. Nil: the transport of a zero [Guard].
//
// Use it for what an origin demands of its clients: a key, a Referer, a session. header sees each request with its URL,
// including those that follow a redirect. Check the scheme and the host before you return a secret:
//
//	origin.WithHeader(base, func(r *http.Request) http.Header {
//		if r.URL.Scheme != "https" || r.URL.Host != "origin.example" {
//			return nil
//		}
//		return http.Header{"Authorization": {"Bearer " + key}}
//	})
//
// The caller's request does not change, so nothing above sees the fields: neither a cache, which shares the answers with
// everybody, nor [http.Response].Request. header may return nil, and must not change the request. A field Host sets the Host of
// the request. header may be called concurrently, and its result is not changed.
func WithHeader(base http.RoundTripper, header func(*http.Request) http.Header) http.RoundTripper {
	if base == nil {
		base = new(Guard).Transport()
	}
	return withHeader{base, header}
}

type withHeader struct {
	base   http.RoundTripper
	header func(*http.Request) http.Header
}

func (w withHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	fields := w.header(r)
	if len(fields) == 0 {
		return w.base.RoundTrip(r)
	}
	out := r.WithContext(r.Context())
	out.Header = maps.Clone(r.Header)
	if out.Header == nil {
		out.Header = http.Header{}
	}
	for name, values := range fields {
		switch name = http.CanonicalHeaderKey(name); {
		case name != "Host":
			out.Header[name] = append([]string(nil), values...)
		case len(values) > 0:
			out.Host = values[0]
		}
	}
	resp, err := w.base.RoundTrip(out)
	if resp != nil {
		resp.Request = r
	}
	return resp, err
}
