package cluster

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/hlsproxy/hlsproxy/cache"
)

// tiers makes the two Transports of a node after one pattern.
func (n *Node) tiers(pattern *cache.Transport) {
	if pattern == nil {
		pattern = new(cache.Transport)
	}
	name := pattern.Name
	if name == "" {
		name = "hlsproxy-" + n.keeper.Name(n.self) // which does not give the address away
	}
	n.edge, n.parent = like(pattern), like(pattern)
	n.edge.Name, n.parent.Name = name, name
	n.edge.Base = roundTripper(n.fetch)
	n.parent.Base = &originSide{n.base}
	n.edge.OnFill = nil // which is about questions to the origin
	// The edge's viewers need not wait, whatever the parent does; and two tiers must not be stale one after the other.
	n.parent.StaleWhileRevalidate = 0
	n.parent.Ahead = 0 // nor must each tier run ahead of the other
	n.key = pattern.Key
	if n.key == nil {
		n.key = cache.Key
	}
}

// like is a Transport with the fields of another, those that it may be given in times to come included.
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

// originSide is what the parent asks. Fields by which nodes talk to each other neither reach an origin nor come from one.
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
