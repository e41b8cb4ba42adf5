package origin

import (
	"bytes"
	"crypto/sha256"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// PoolConfig configures a [Pool].
type PoolConfig struct {
	// Origins are the base URLs of servers that hold the same streams: http or https, with or without a path. At least one.
	// Neither their order nor which of them a request names matters.
	Origins []string
	// Weights are the shares of streams for Origins, in the same order. Nil: equal shares. 0: no stream while another origin
	// works.
	Weights []float64
	// Base sends the requests. Nil: the transport of a zero [Guard].
	Base http.RoundTripper
	// Host is the Host header and the TLS server name for all origins, if Origins lists them by address: "stream.example". The
	// name reaches the dial through Base, if Base is a transport of a [Guard]. Empty: the host of each URL.
	Host string
	// Key names the stream of a request. All requests of a stream go to the same origin. Nil: the directory of the path below
	// the origin's base, so that a playlist and its segments stay together. It must be deterministic.
	Key func(*http.Request) string
	// Sticky is the secret for marks in URLs that bring viewers back to the same origin: 16 bytes or more, the same on all
	// nodes. Nil: no marks. Use it for origins with state per session, for example one that a multivariant playlist opens.
	// Requests for what a playlist names then go to the origin of the playlist, whatever Key says, as long as that origin
	// works. It needs [Proxy.Sticky] and [Stick] as well.
	Sticky []byte

	// Rarely needed:

	// Failures is how many failures in a row take an origin out. 0: 3. Negative: no failure takes it out, and no Retry-After;
	// Outlier still may. A refused or broken connection is a failure of the origin. A missing header, a body that breaks, and
	// the statuses 500, 502, 503 and 504 are failures of the stream: they take the origin out for that stream, and for all
	// streams if several have failed. For a blocking reload they only mean that the stream stands still: they are passed on,
	// not counted, and not retried elsewhere.
	Failures int
	// Cooldown is how long an origin that was taken out gets no request, ± 20 %, before one request tries it again. It doubles
	// each time that fails, up to 60 s. 0: 5 s. Negative: the next request tries it. A Retry-After of a 503 counts as well, up
	// to 60 s.
	Cooldown time.Duration
	// Patience is how long a header may take while there is another origin to ask. 0: 4 s. Negative: no limit. Each
	// informational answer (102, 103) restarts it. A blocking playlist reload may take 60 s, and is not retried elsewhere.
	Patience time.Duration
	// Retries is how many more origins one request may try. 0: 2. Negative: none.
	Retries int
	// Budget is how many retries are allowed per request, on average. 0: 0.25. Negative: no limit. Another 10 a second are
	// free, so that a quiet pool fails over as well; at most 1000 are saved up. Retries after a failure, second opinions on a
	// 404, and hedges each have a budget of this size, so that none uses up another's.
	Budget float64
	// Hedge is how long the first header may take before a second origin is asked as well. The first good answer wins, and the
	// other request is cancelled. Hedges spend a Budget of their own. 0 or negative: never. Blocking playlist reloads are not
	// hedged.
	Hedge time.Duration
	// Outlier is how many times slower than the typical other origin an origin may be before it is taken out like one that
	// fails. It must also be slower by half a second. The time until the header counts. 0: 8. Negative: no limit.
	Outlier float64
	// Resume fetches the rest of a body that broke, at most twice, if it is certain to be the same: the answer to a GET had a
	// length and a strong ETag (RFC 9110 section 8.8.1), and an exact 206 with that ETag continues it. Set it only if an ETag
	// means the same bytes on all origins. Otherwise, and by default, the body stays broken.
	Resume bool
}

// Pool is an [http.RoundTripper] over origins that hold the same streams. A request whose URL lies below one of them is sent to
// the origin of its stream, chosen by rendezvous hashing: every node and every restart makes the same choice without
// communication, and an origin that comes or goes moves only its own streams. Any other request, for example one after a
// redirect, goes to Base unchanged.
//
// Health is passive. It is kept for each origin and, if an origin fails for some streams, for up to 1024 of its streams. A GET
// or HEAD without a body that fails goes to the next origin. A 404 tries one other origin, which may be ahead at the live edge.
// If all of them refuse, the first answer is returned. If all are out, all are tried. Response.Request is the request that the
// pool was given, whichever origin answered, so that URLs resolve and caches work as usual.
//
// All methods may be called concurrently.
type Pool struct {
	base       http.RoundTripper
	key        func(*http.Request) string
	failures   int
	cooldown   time.Duration
	patience   time.Duration
	retries    int
	hedge      time.Duration
	outlier    float64
	resume     bool
	sticky     []byte
	host       string
	serverName string // of host
	budgets    budgets

	change sync.Mutex // held while set is replaced
	set    atomic.Pointer[set]
}

const (
	defaultFailures = 3
	defaultCooldown = 5 * time.Second
	maxCooldown     = 60 * time.Second
	defaultPatience = 4 * time.Second
	defaultRetries  = 2
	defaultBudget   = 0.25
	defaultOutlier  = 8
)

// NewPool makes a Pool, or reports all faults of c.
func NewPool(c PoolConfig) (*Pool, error) {
	s, err := newSet(c.Origins, c.Weights, nil)
	if err = checkConfig(c, err); err != nil {
		return nil, err
	}
	p := &Pool{
		base: c.Base, key: c.Key, failures: orInt(c.Failures, defaultFailures), cooldown: max(or(c.Cooldown, defaultCooldown), 0),
		patience: or(c.Patience, defaultPatience), retries: max(orInt(c.Retries, defaultRetries), 0),
		hedge: c.Hedge, outlier: c.Outlier, resume: c.Resume,
	}
	if p.failures < 0 {
		p.failures = math.MaxInt
	}
	if p.outlier == 0 {
		p.outlier = defaultOutlier
	}
	if p.base == nil {
		p.base = new(Guard).Transport()
	}
	p.sticky = bytes.Clone(c.Sticky)
	p.host = c.Host
	p.serverName, _, _ = splitHostPort(c.Host)
	p.budgets.init(c.Budget)
	p.publish(s)
	return p, nil
}

// RoundTrip sends r to the origin of its stream, and to others if that fails.
func (p *Pool) RoundTrip(r *http.Request) (*http.Response, error) {
	s := p.set.Load()
	named, tail := s.named(r)
	if named == nil {
		return p.base.RoundTrip(r)
	}
	resp, err := p.send(s, r, tail, nil)
	if err != nil {
		return nil, err
	}
	resp.Request = r
	translate(resp, s, named, tail)
	if body, ok := resp.Body.(*callBody); ok && p.sticky != nil {
		resp.Header.Set(originField, body.call.member.mark)
	}
	if p.resume {
		resumable(p, resp)
	}
	return resp, nil
}

// send tries the members in last only after all others, because they are known not to help.
func (p *Pool) send(s *set, r *http.Request, tail string, last []*member) (*http.Response, error) {
	key := directory(tail)
	if p.key != nil {
		key = p.key(r)
	}
	key = shortKey(key)
	order := s.rank(key, stickyOf(r.Context()).mark, time.Now())
	for _, m := range last {
		if i := slices.Index(order, m); i >= 0 {
			order = append(slices.Delete(order, i, i+1), m)
		}
	}
	t := &trip{pool: p, request: r, tail: tail, stream: key, blocks: isBlocking(r.URL), order: order}
	if last != nil {
		t.put = len(order) // origins that cool down are a better choice than these
	}
	return t.run()
}

// longestKey is the longest name of a stream that is remembered as it is, in bytes. Viewers may write long ones.
const longestKey = 256

func shortKey(key string) string {
	if len(key) <= longestKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return string(sum[:])
}

// SetOrigins replaces the origins, with the arguments of NewPool. Origins that stay keep their health, and requests under way
// go on. A request may still name an origin that was taken out: it is sent to one of the others. The pool remembers the 256
// removed origins that were named last. Only a redirect still leads to one of them.
func (p *Pool) SetOrigins(origins []string, weights []float64) error {
	p.change.Lock()
	defer p.change.Unlock()
	s, err := newSet(origins, weights, p.set.Load())
	if err == nil {
		p.publish(s)
	}
	return err
}

// Drain takes an origin out of service, or back in. A drained origin gets no new request while another origin works, and
// requests under way go on. Drain reports whether there is such an origin.
func (p *Pool) Drain(origin string, drained bool) bool {
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	for _, m := range p.set.Load().members {
		if m.base == baseOf(u) {
			m.drained.Store(drained)
			return true
		}
	}
	return false
}

// splitHostPort is net.SplitHostPort with an optional port.
func splitHostPort(s string) (host, port string, err error) {
	if !strings.Contains(s, ":") {
		return s, "", nil
	}
	return net.SplitHostPort(s)
}

func orInt(n, def int) int {
	if n == 0 {
		return def
	}
	return n
}

// checkOutlier takes an origin out that has become far slower than the others.
func (p *Pool) checkOutlier(m *member, now time.Time) {
	own, known := m.health.typical()
	if p.outlier < 0 || !known || own < outlierFloor {
		return
	}
	var others []time.Duration
	for _, o := range p.set.Load().members {
		if latency, known := o.health.typical(); known && o != m {
			others = append(others, latency)
		}
	}
	if len(others) == 0 {
		return
	}
	slices.Sort(others)
	median := others[(len(others)-1)/2]
	if own-median >= outlierFloor && float64(own) > p.outlier*float64(median) {
		m.health.trip(now, p.cooldown)
	}
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

// publish replaces the set. New members get their marks.
func (p *Pool) publish(s *set) {
	for _, m := range s.members {
		if p.sticky != nil && m.mark == "" {
			m.mark = markOf(p.sticky, m.base)
		}
	}
	p.set.Store(s)
}
