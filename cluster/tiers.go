package cluster

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/internal/ignored"
)

// without is r without the query parameters that its key leaves out: nodes must agree on the holder of a key.
func without(r *http.Request, names []string) *http.Request {
	query := ignored.Strip(r.URL.RawQuery, names)
	if query == r.URL.RawQuery {
		return r
	}
	u := *r.URL
	u.RawQuery = query
	r = r.WithContext(r.Context())
	r.URL = &u
	return r
}

// like copies the fields of a Transport, including those of later versions.
func like(pattern *cache.Transport) *cache.Transport {
	t := new(cache.Transport)
	from, to := reflect.ValueOf(pattern).Elem(), reflect.ValueOf(t).Elem()
	for i := range from.NumField() {
		if from.Type().Field(i).IsExported() {
			to.Field(i).Set(from.Field(i))
		}
	}
	return t
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// originSide is the Base of the parent. Fields that nodes exchange neither reach an origin nor come from one.
type originSide struct{ base http.RoundTripper }

func (o *originSide) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := o.base.RoundTrip(withoutOurs(r))
	if err == nil && resp != nil {
		dropOurs(resp.Header)
	}
	return resp, err
}

const ours = "Hlsproxy-"

func withoutOurs(r *http.Request) *http.Request {
	for name := range r.Header {
		if strings.HasPrefix(name, ours) {
			r = r.WithContext(r.Context())
			r.Header = r.Header.Clone()
			dropOurs(r.Header)
			return r
		}
	}
	return r
}

func dropOurs(h http.Header) {
	for name := range h {
		if strings.HasPrefix(name, ours) {
			delete(h, name)
		}
	}
}
