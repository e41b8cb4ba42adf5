package origin

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// member is one origin of a pool and what is known of it.
type member struct {
	url  *url.URL
	host string // of url, lower case, with port
	path string // of url, escaped, with a final slash
	base string // scheme, host and path: its identity on every node
	mark string // what viewers call it; "": nothing

	health  health
	drained atomic.Bool
	named   atomic.Int64 // when a request named it last, in seconds since 1970

	requests atomic.Uint64
	errors   atomic.Uint64
	inFlight atomic.Int64
}

func newMember(raw string) (*member, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("malformed URL")
	}
	if why := unfit(u); why != "" {
		return nil, errors.New(why)
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errors.New("URL with a query or a fragment")
	}
	if _, _, err := splitHost(u); err != nil {
		return nil, err
	}
	m := &member{url: u, host: hostOf(u), base: baseOf(u)}
	m.path = strings.TrimSuffix(u.EscapedPath(), "/") + "/"
	return m, nil
}

func baseOf(u *url.URL) string {
	return u.Scheme + "://" + hostOf(u) + strings.TrimSuffix(u.EscapedPath(), "/") + "/"
}

func hostOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = defaultPort(u.Scheme)
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// at is the URL of an escaped path below the origin, with the query of another.
func (m *member) at(tail string, query *url.URL) *url.URL {
	escaped := m.path + tail
	path, err := url.PathUnescape(escaped)
	if err != nil {
		path = escaped // EscapedPath gives no such thing
	}
	return &url.URL{
		Scheme: m.url.Scheme, Host: m.url.Host, Path: path, RawPath: escaped, RawQuery: query.RawQuery, ForceQuery: query.ForceQuery,
	}
}

// class is where the member stands in line: 0 working, 1 drained, 2 cooling down.
func (m *member) class(now time.Time, weight float64, stream string) int {
	switch {
	case m.health.cooling(now, stream):
		return 2
	case weight == 0 || m.drained.Load():
		return 1
	}
	return 0
}

// OriginState is what a [Pool] knows of one origin.
type OriginState struct {
	Origin   string        // its base URL
	Drained  bool          // by [Pool.Drain]
	Healthy  bool          // false while it is out, and until a request has come through again
	Failures int           // in a row
	Troubled int           // streams with failures in a row, up to 1024
	Until    time.Time     // when it is tried again; zero if Healthy
	Latency  time.Duration // until the header came, smoothed; 0: not known
	Requests uint64        // sent to it so far, retries included
	Errors   uint64        // of these, those that failed
	InFlight int64         // of these, those whose body is not read or closed yet
}

// State returns a snapshot of all origins in the order of the configuration, for status pages and metrics.
func (p *Pool) State() []OriginState {
	members := p.set.Load().members
	out := make([]OriginState, len(members))
	for i, m := range members {
		out[i] = OriginState{
			Origin: m.base, Drained: m.drained.Load(), Requests: m.requests.Load(), Errors: m.errors.Load(), InFlight: m.inFlight.Load(),
		}
		m.health.describe(&out[i])
	}
	return out
}
