package origin

import (
	"maps"
	"net/http"
)

// WithHeader returns a RoundTripper that sends the fields that header gives for a request, in place of those of the same
// name that the request has, and sends the request to base. Nil: the transport of a zero [Guard].
//
// It is for what an origin wants of its clients: a key, a Referer, a session. header sees each request with its URL, also
// one to where a redirect leads, so let it look at the scheme and the host before it gives a secret away:
//
//	origin.WithHeader(base, func(r *http.Request) http.Header {
//		if r.URL.Scheme != "https" || r.URL.Host != "origin.example" {
//			return nil
//		}
//		return http.Header{"Authorization": {"Bearer " + key}}
//	})
//
// The request that the caller has stays as it is, so nobody above sees the fields: not a cache, whose answers are
// everybody's all the same, and not [http.Response].Request. header may return nil, and must not change the request. A field
// Host is that of the request. It may be called concurrently; what it returns is not changed.
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
