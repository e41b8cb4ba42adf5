package origin

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// set is the origins at one moment. It never changes.
type set struct {
	members []*member
	weights []float64
	former  []*member // removed, but requests may still name them
}

// maxFormer is how many removed origins a pool remembers.
const maxFormer = 256

func newSet(origins []string, weights []float64, old *set) (*set, error) {
	var faults []error
	s := &set{weights: weights}
	for i, raw := range origins {
		m, err := newMember(raw)
		if err != nil {
			faults = append(faults, fmt.Errorf("origin: origin %d: %w", i+1, err))
			continue
		}
		if slices.ContainsFunc(s.members, func(o *member) bool { return o.base == m.base }) {
			faults = append(faults, fmt.Errorf("origin: origin %d: twice in the list", i+1))
		}
		if old != nil {
			for _, o := range slices.Concat(old.members, old.former) {
				if o.base == m.base {
					m = o
				}
			}
		}
		s.members = append(s.members, m)
	}
	if len(origins) == 0 {
		faults = append(faults, errors.New("origin: a pool needs at least one origin"))
	}
	if weights != nil && len(weights) != len(origins) {
		faults = append(faults, fmt.Errorf("origin: %d weights for %d origins", len(weights), len(origins)))
	}
	for i, w := range weights {
		if !(w >= 0 && w <= math.MaxFloat32) {
			faults = append(faults, fmt.Errorf("origin: weight %d is no share", i+1))
		}
	}
	s.remember(old)
	return s, errors.Join(faults...)
}

// remember keeps the removed origins that requests named last: a mapper may still write them.
func (s *set) remember(old *set) {
	if old == nil {
		return
	}
	for _, m := range slices.Concat(old.members, old.former) {
		if !slices.ContainsFunc(s.members, func(o *member) bool { return o.base == m.base }) {
			s.former = append(s.former, m)
		}
	}
	slices.SortStableFunc(s.former, func(a, b *member) int { return cmp.Compare(b.named.Load(), a.named.Load()) })
	s.former = s.former[:min(len(s.former), maxFormer)]
}

func checkConfig(c PoolConfig, err error) error {
	faults := []error{err}
	if host, port, err := splitHostPort(c.Host); c.Host != "" {
		_, isName := canonicalName(host)
		_, isPort := wire.ParsePort(port)
		if err != nil || !isName || port != "" && !isPort {
			faults = append(faults, fmt.Errorf("origin: Host: %q is neither NAME nor NAME:PORT", c.Host))
		}
	}
	if c.Sticky != nil && len(c.Sticky) < 16 {
		faults = append(faults, errors.New("origin: Sticky has less than 16 bytes"))
	}
	if math.IsNaN(c.Outlier) {
		faults = append(faults, errors.New("origin: Outlier is no number"))
	}
	if math.IsNaN(c.Budget) || c.Budget > math.MaxFloat32 {
		faults = append(faults, errors.New("origin: Budget is no number of retries"))
	}
	return errors.Join(faults...)
}

// named returns the member or former member that a request names, and the rest of its escaped path. It returns nil if there is
// none. A redirect to a former member means exactly that server: it leads out of the pool.
func (s *set) named(r *http.Request) (m *member, tail string) {
	m, tail = below(s.members, r.URL)
	if m == nil && (r.Response == nil || r.Response.Header.Get(outsideField) == "") {
		m, tail = below(s.former, r.URL)
	}
	if now := time.Now().Unix(); m != nil && m.named.Load() != now {
		m.named.Store(now)
	}
	return m, tail
}

// below returns the member that u lies below, and the rest of its escaped path. It returns nil if there is none.
func below(members []*member, u *url.URL) (m *member, tail string) {
	host, path := hostOf(u), u.EscapedPath()
	for _, o := range members {
		rest, below := strings.CutPrefix(path, o.path)
		if below && o.url.Scheme == u.Scheme && o.host == host && (m == nil || len(o.path) > len(m.path)) {
			m, tail = o, rest
		}
	}
	return m, tail
}

// rank orders the members for a stream: working ones by preference, then drained ones, then those that cool down. The member
// with this mark comes first in its group.
func (s *set) rank(key, mark string, now time.Time) []*member {
	type candidate struct {
		*member
		class int
		score float64
	}
	all := make([]candidate, 0, 8) // on the stack, unless there are more
	for i, m := range s.members {
		weight := 1.0
		if s.weights != nil {
			weight = s.weights[i]
		}
		c := candidate{m, m.class(now, weight, key), weight * preference(key, m.base)}
		if mark != "" && m.mark == mark {
			c.score = math.Inf(1)
		}
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(b.score, a.score), cmp.Compare(a.base, b.base))
	})
	out := make([]*member, len(all))
	for i := range all {
		out[i] = all[i].member
	}
	return out
}

// preference is the score of rendezvous hashing: 1/-ln(u) with u uniform in (0, 1), so that a factor becomes a share. Key and
// origin are hashed together; otherwise an origin's rank would not depend on the key.
func preference(key, origin string) float64 {
	x := fnv1a(fnv1a(fnv1a(0xcbf29ce484222325, key), "\x00"), origin) // the last bytes hardly affect its high bits
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	u := (float64(x>>11) + 0.5) / (1 << 53)
	return 1 / -math.Log(u)
}

// fnv1a continues a 64-bit FNV-1a hash with s. Unlike package hash/fnv, it does not copy strings.
func fnv1a(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return h
}

func directory(path string) string { return path[:strings.LastIndexByte(path, '/')+1] }

// member is one origin of a pool, with its state.
type member struct {
	url  *url.URL
	host string // of url, in lower case, with the port
	path string // of url, escaped, with a final slash
	base string // scheme, host and path: the same on every node
	mark string // its name for viewers; "": none

	health  health
	drained atomic.Bool
	named   atomic.Int64 // when a request last named it, in seconds since 1970

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

// at is the URL of an escaped path below the origin, with the query of query.
func (m *member) at(tail string, query *url.URL) *url.URL {
	escaped := m.path + tail
	path, err := url.PathUnescape(escaped)
	if err != nil {
		path = escaped // the result of EscapedPath is always valid
	}
	return &url.URL{
		Scheme: m.url.Scheme, Host: m.url.Host, Path: path, RawPath: escaped, RawQuery: query.RawQuery, ForceQuery: query.ForceQuery,
	}
}

// class is 0 for a working member, 1 for a drained one, 2 for one that cools down.
func (m *member) class(now time.Time, weight float64, stream string) int {
	switch {
	case m.health.cooling(now, stream):
		return 2
	case weight == 0 || m.drained.Load():
		return 1
	}
	return 0
}

// OriginState is the state of one origin of a [Pool].
type OriginState struct {
	Origin   string        // its base URL
	Drained  bool          // by [Pool.Drain]
	Healthy  bool          // false while it is out, and then until a request has succeeded
	Failures int           // in a row
	Troubled int           // streams with failures in a row, up to 1024
	Until    time.Time     // when it is tried again; zero if Healthy
	Latency  time.Duration // until the header came, smoothed; 0: unknown
	Requests uint64        // sent to it so far, retries included
	Errors   uint64        // failed requests
	InFlight int64         // requests whose body has not been read or closed yet
}
