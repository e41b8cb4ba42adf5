package cache

import (
	"context"
	"iter"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/body"
	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/waits"
	"golang.org/x/sync/singleflight"
)

// Transport is an http.RoundTripper that asks Base once and shares the answer. The zero value works: it joins running
// fetches and keeps nothing. Its fields must not change after first use; its methods may be called concurrently.
//
// Only GET and HEAD without Authorization, Cookie, a body, or user information in the URL are shared; all other requests go
// to Base as they are. An answer goes to the viewer whose request was sent, and to nobody else, if
//
//   - its Cache-Control forbids to share it (private, no-store),
//   - it sets a cookie,
//   - it varies by more than 64 fields,
//   - or it may be a decryption key.
//
// What the cache itself has to say is an error that knows its status:
//
//   - 502: the answer broke off or is none to the question ([ErrBroken]), or a hook panicked ([ErrHook]).
//   - 503: MaxFills answers are being fetched already ([ErrBusy]).
//   - 504: the origin sent nothing for Idle, or too little for MinRate ([ErrIdle]).
type Transport struct {
	// Base asks the origin. Nil: http.DefaultTransport, which no guard keeps from addresses inside a network: where viewers
	// have a say in the URL, give one that is guarded. A fill asks with the header of the viewer who came first, but for its
	// Range, conditions, Cookie and Authorization, and with "Accept-Encoding: identity". What an origin says about caching
	// can be overridden by a Base that changes the answer's header.
	Base http.RoundTripper
	// Store keeps whole answers. Nil: running fetches are joined, nothing is kept. Where it is no Memory the bodies of running
	// fetches take at most 256 MiB of the heap, or MaxBody if that is more.
	Store Store
	// TTL says how long an answer that came whole is fresh, counted from Entry.Time. Zero: it is kept only if it has a
	// validator, and the origin is asked each time whether it still holds. Negative: it is not kept. The Entry must not be
	// changed or kept. Nil: HLS.
	TTL func(*Entry) time.Duration
	// Key names what a request asks for: requests with one key share one answer. Nil: scheme, host, path and query of
	// the URL, without the parameters that differ between viewers but not between answers (CMCD, _HLS_throughput).
	Key func(*http.Request) string
	// Idle is how long the origin may be silent: before the header (but at least 60 s for a blocking playlist reload,
	// recognised by _HLS_msn in the URL, and for what a playlist hints at, and no less than the Wait of an origin.Proxy in
	// front) and between any two reads of the body (no less than the Idle of that Proxy). Zero: 10 s. Negative: no limit.
	Idle time.Duration
	// MaxBody is the longest body that is shared or kept in one piece, in bytes. A longer one is fetched and kept in slices
	// of 2 MiB, if there is a Store and the origin gives its length, a strong validator, and ranges; else it is streamed to
	// each viewer on its own, with its own Range. Zero: 64 MiB. Negative: no limit. A body of undeclared length may have no
	// end: it is kept for others only up to 8 MiB while a single viewer follows it.
	MaxBody int64
	// Refs lists the absolute upstream URLs of the segments that a playlist names, as they will be asked for; base is the
	// playlist's own URL. A Memory then keeps what live playlists name, and drops first what they name no more. What a playlist
	// names is a segment, and is asked about when its encoder begins again; without Refs the cache knows no name in which there
	// are variables (EXT-X-DEFINE) or that inherits parameters. Nil: the cache looks no further.
	Refs func(playlist []byte, base string) iter.Seq[string]
	// Ahead is how many of the next segments of a rendition that is being watched are fetched before they are asked for; where
	// parts are asked for, parts. The package documentation says what is fetched, and when. Zero or negative: none. It has no
	// effect without a Store.
	Ahead int
	// OnFill is told how each question to the origin ended, but for those whose answers could not be shared. It is called
	// concurrently, in goroutines of the cache. Nil: nobody is told.
	OnFill func(Fill)

	// Rarely needed.

	// StaleIfError is how long past its TTL an answer is still served when the origin fails (no answer, or 500, 502, 503
	// or 504), unless the origin itself says how long (stale-if-error, RFC 5861) or forbids it (must-revalidate,
	// proxy-revalidate, no-cache, s-maxage). Zero: as long again as it was fresh. Negative: not at all.
	StaleIfError time.Duration
	// StaleIfGone is how long past its TTL a live playlist is still served when the origin answers 404 or 410, as some do while an
	// encoder begins again, unless the origin forbids it as above. Zero: six times its TTL, which is three target durations.
	// Negative: not at all.
	StaleIfGone time.Duration
	// StaleWhileRevalidate is how long past its TTL an answer is served at once while the origin is asked for a new one,
	// under the same conditions (stale-while-revalidate). Zero or negative: only where the origin says so.
	StaleWhileRevalidate time.Duration
	// MaxFills is how many answers may be fetched at a time; a request that would need one more fails with ErrBusy.
	// What is fetched ahead takes none of these places from viewers. Zero: 1024. Negative: no limit.
	MaxFills int
	// MinRate is the lowest average rate, in bytes a second, at which a body of declared length may arrive. It is checked
	// after a minute of waiting; below it the fill fails with ErrIdle. It stops an origin that drips a byte now and then.
	// Zero: 10 MiB a minute. Negative: no limit. A body of undeclared length may be a live stream, for which a thousandth
	// of that will do.
	MinRate int64
	// Ignore lists query parameters, as they are spelled, that differ between viewers but not between answers, such as those
	// that get around caches ("_", "cachebust"). They are left out of keys, not of requests: the viewer that chooses the URL
	// chooses for all what the origin makes of them. The Ignore of an origin.Proxy or of a sign.Config in front holds here too,
	// leaves them out of requests, and is the better place for what viewers may add. It has no effect beside a Key.
	Ignore []string
	// PerViewer keeps segments and playlists apart that are said to be for one viewer by no more than a cookie of the origin,
	// or by Vary: User-Agent. Below an origin.Proxy that passes on nothing by which the origin could know a viewer (whose
	// Header is nil or lists no more), these are shared otherwise: there the cookie is that of a load balancer, and reaches
	// nobody. It is not kept. Elsewhere, and for keys and what is private, they are always kept apart. A segment is here what
	// is media by its name or type, or what a playlist of the same scheme, host and port names.
	PerViewer bool
	// Ring is how many bytes of a broadcast are kept for viewers who are slower than others: of a body without a length that
	// goes on for 5 s, comes as it is made, and is media but no segment of a playlist. All viewers of its key share one
	// question to the origin, however long. One who comes later begins at the newest point where a decoder can (MPEG-TS, FLV,
	// ADTS and MPEG audio), whatever Range is asked for. For anything else, and where that point has left the ring, each has a
	// question of its own. One who is slower than the ring is cut off. At most 10 s are kept, and an eighth of what a Memory
	// may take. A viewer that comes in the first 5 s begins with the first byte. A viewer who asks for the titles of a radio
	// (Icy-MetaData) gets a question of its own. Zero: 8 MiB. Negative: nothing is broadcast, and each body is taken for one
	// with an end.
	Ring int64
	// Linger is how long a broadcast goes on when its last viewer has left. Zero or negative: it ends at once.
	Linger time.Duration
	// Name is what Cache-Status calls this cache (RFC 9211), to tell it from others on the way. "": hlsproxy.
	Name string

	count       counters
	hitOnce     sync.Once
	hitNamed    string             // statusHit with Name
	group       singleflight.Group // of flights, by key
	prefetching atomic.Int32
	ownPool     sync.Once
	heap        *body.Pool // of running fills, where the Store is no Memory
	channels    channels
	ahead       ahead

	mu          sync.Mutex
	flights     map[string]*flight // by key: the question was asked, there is no answer yet
	fills       map[string]*fill   // by key: running, and open to joiners
	orphans     map[string]int     // by host: flights that nobody waits for
	filling     int                // fills that run, those closed to joiners included
	earlyFills  int                // those of flights and of filling that no viewer has begun
	unshareable keySet             // keys whose answers proved impossible to share
	failing     keySet             // keys for which the origin failed while there was something stale to serve
}

const (
	defaultMaxBody  = 64 << 20
	defaultIdle     = 10 * time.Second
	blockingIdle    = time.Minute
	defaultMaxFills = 1024
	noLimit         = 100 * 365 * 24 * time.Hour
)

// RoundTrip answers from the Store, from a running fill, or by asking Base. The Response belongs to the viewer: its
// Request is r, its Header a copy, and its Body, unless it was not shared, implements io.WriterTo, which writes large
// pieces and flushes an http.ResponseWriter when it has caught up with the origin. A Body that breaks ends with an error,
// never with io.EOF.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !shareable(r) {
		t.count.passed.Add(1)
		return t.pass(r, why(r))
	}
	have, err := t.find(r)
	if err != nil {
		return nil, err
	}
	switch {
	case have.entry == nil:
	case t.isFresh(r, have.entry):
		is := have.entry.Status == http.StatusOK
		if resp := t.serve(r, have, statusHit); resp != nil {
			t.count.hits.Add(1)
			if t.leads() && is {
				t.lead(r, have.primary, true)
			}
			return resp, nil
		}
	case t.mayWait(have):
		have.owned = nil // the question whether it still holds is made of it
		if resp := t.serve(r, have, statusHitStale); resp != nil {
			t.renew(r, have)
			t.count.hits.Add(1)
			t.count.stale.Add(1)
			return resp, nil
		}
	}
	// A HEAD costs the origin less than the whole body would.
	alone := have.entry == nil && r.Method == http.MethodHead || t.isUnshareable(have.key)
	if !t.leads() {
		return t.join(r, have, !alone)
	}
	t.lead(r, have.primary, false)
	resp, err := t.join(r, have, !alone)
	if err == nil && IsSliced(resp) {
		t.lead(r, have.primary, true) // each slice is a fill of its own
	}
	return resp, err
}

func (t *Transport) leads() bool { return t.Ahead > 0 && t.Store != nil }

func (t *Transport) base() http.RoundTripper {
	if t.Base == nil {
		return http.DefaultTransport
	}
	return t.Base
}

func (t *Transport) maxBody() int64 {
	switch {
	case t.MaxBody < 0:
		return math.MaxInt64
	case t.MaxBody == 0:
		return defaultMaxBody
	}
	return t.MaxBody
}

func (t *Transport) idle() time.Duration {
	switch {
	case t.Idle < 0:
		return noLimit
	case t.Idle == 0:
		return defaultIdle
	}
	return t.Idle
}

// pause is how long the body of an answer may pause that is asked for on ctx.
func (t *Transport) pause(ctx context.Context) time.Duration {
	return max(t.idle(), min(waits.Idle(ctx), noLimit))
}

// patience is how long the header of r's answer may take: never less than the one who asks is ready to wait.
func (t *Transport) patience(r *http.Request) time.Duration {
	d := max(t.idle(), min(waits.Header(r.Context()), noLimit))
	if hls.IsBlocking(r.URL.RawQuery) {
		return max(d, blockingIdle)
	}
	return d
}

// drips tells whether so many bytes of a body are too few after so long a wait for them.
func (t *Transport) drips(bytes, length int64, waited time.Duration) bool {
	if waited <= time.Minute || t.MinRate < 0 {
		return false
	}
	rate := float64(t.MinRate)
	if rate == 0 {
		rate = 10 << 20 / 60
	}
	if length < 0 {
		rate /= 1000
	}
	return float64(bytes) < rate*waited.Seconds()
}

func (t *Transport) maxFills() int {
	switch {
	case t.MaxFills < 0:
		return math.MaxInt
	case t.MaxFills == 0:
		return defaultMaxFills
	}
	return t.MaxFills
}
