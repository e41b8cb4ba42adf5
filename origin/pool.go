package origin

import (
	"bytes"
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

// PoolConfig is what a [Pool] is made of.
type PoolConfig struct {
	// Origins are the base URLs of servers that hold the same streams: http or https, with or without a path. At least
	// one. Their order does not matter, nor does it matter which of them a request names.
	Origins []string
	// Weights are the shares of streams that the Origins get, in the same order. Nil: all alike. 0: none while another
	// origin works.
	Weights []float64
	// Base sends the requests. Nil: the transport of a zero [Guard].
	Base http.RoundTripper
	// Host is the Host header, and the TLS server name, that all origins want when they are named by their addresses:
	// "stream.example". The name reaches the dial through Base, if Base is a transport of a [Guard]. Empty: that of each URL.
	Host string
	// Key names the stream that a request belongs to, and so the origin that it stays with. Nil: the directory of the
	// path below the origin's base, so that a playlist and the segments beside it go together. It must be deterministic.
	Key func(*http.Request) string
	// Sticky is the secret of the marks by which viewers name an origin to return to, of 16 bytes or more and the same on all
	// nodes; nil: there are none. It is for origins that hold state of a session, such as a context that a multivariant
	// playlist opens: what a playlist names is then asked of the origin that it came from, whatever Key says, as long as
	// that works. It takes [Proxy.Sticky] and [Stick] as well.
	Sticky []byte

	// Rarely needed:

	// Failures in a row take an origin out. 0: 3. Negative: however many, it stays in. A refused or broken connection is a
	// failure of the origin. No header in time, a body that breaks, and the statuses 500, 502, 503 and 504 are failures of the
	// stream: so many take the origin out for that stream, and for all when they were of several streams. To a blocking reload
	// they say that the stream stands still: they are passed on, not counted, and tried nowhere else.
	Failures int
	// Cooldown is how long an origin is left alone, ± 20 %, before one request tries it again. It doubles with each failure of
	// that, up to 60 s. 0: 5 s. Negative: the next request tries it again. A Retry-After of a 503 counts, too, up to 60 s.
	Cooldown time.Duration
	// Patience is how long a header may take while there is another origin to ask. 0: 4 s. Negative: no limit. Each
	// informational answer (102, 103) gives it anew. A blocking playlist reload may take 60 s, and is tried nowhere else.
	Patience time.Duration
	// Retries is how many more origins one request may try. 0: 2. Negative: none.
	Retries int
	// Budget is how many retries there may be for each request, on average over all. 0: 0.25. Negative: no limit. Another 10 a
	// second are free, so that a quiet pool fails over, too; 1000 are saved up at most. Retries after a failure, second
	// opinions on a 404 and hedges each have a budget of this size, so that none of them uses up another's.
	Budget float64
	// Hedge is how long a first header may take before a second origin is asked as well; the first good answer counts, and the
	// other request is cancelled. It spends a Budget of its own. 0 or negative: never. Blocking playlist reloads are not
	// hedged.
	Hedge time.Duration
	// Outlier is how many times slower than the typical other origin one may be, by the time until the header comes and
	// by half a second at least, before it is taken out like one that fails. 0: 8. Negative: any.
	Outlier float64
	// Resume fetches the rest of a body that broke, twice at most, if it is sure to be the same: the answer to a GET had a length
	// and a strong ETag (RFC 9110 section 8.8.1), and an exact 206 with that ETag continues it. Set it only if an ETag
	// means the same bytes on all origins. Otherwise, and by default, the body stays broken.
	Resume bool
}

// Pool is an [http.RoundTripper] over origins that hold the same streams. A request whose URL lies below one of them is
// sent to the one that its stream belongs to, by rendezvous hashing: each node and each restart picks the same without
// talking to others, and an origin that comes or goes moves its own streams only. Any other request, such as one to
// where a redirect leads, goes to Base as it is.
//
// Health is passive, and kept for each origin and, where one is in trouble with some, for each of up to 1024 streams. A GET or
// HEAD without a body that fails goes to the next origin; a 404 tries one other origin, as at the live edge one of them may be
// ahead. What all of them refuse comes back as the first one said it. When all are out, all are tried. Response.Request is the
// request that the pool was given, whichever origin answered, so that URLs resolve and caches work alike.
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

	change sync.Mutex // held by those who replace set
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

// NewPool makes a Pool, or reports all that is wrong with c.
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

// RoundTrip sends r to the origin that it belongs to, and to others if that fails.
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

// send asks those last who are known to be of no help.
func (p *Pool) send(s *set, r *http.Request, tail string, last []*member) (*http.Response, error) {
	key := directory(tail)
	if p.key != nil {
		key = p.key(r)
	}
	order := s.rank(key, stickyOf(r.Context()).mark, time.Now())
	for _, m := range last {
		if i := slices.Index(order, m); i >= 0 {
			order = append(slices.Delete(order, i, i+1), m)
		}
	}
	t := &trip{pool: p, request: r, tail: tail, stream: key, blocks: isBlocking(r.URL), order: order}
	if last != nil {
		t.put = len(order) // those that cool down are better than these
	}
	return t.run()
}

// SetOrigins replaces the origins, as NewPool would take them; those that stay keep their health. Requests under way
// go on. A request may go on naming an origin that was taken out: it is sent to one of those that are left. The pool
// remembers the 256 that were named last; only a redirect still leads to one of them.
func (p *Pool) SetOrigins(origins []string, weights []float64) error {
	p.change.Lock()
	defer p.change.Unlock()
	s, err := newSet(origins, weights, p.set.Load())
	if err == nil {
		p.publish(s)
	}
	return err
}

// Drain takes an origin out of service, or back in: it gets no new request while another origin works, and those under
// way go on. It reports whether there is such an origin.
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

// splitHostPort is net.SplitHostPort for what need not have a port.
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
