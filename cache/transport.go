package cache

import (
	"context"
	"errors"
	"io"
	"iter"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/ahead"
	"github.com/hlsproxy/hlsproxy/cache/internal/body"
	"github.com/hlsproxy/hlsproxy/cache/internal/listing"
	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/waits"
)

// Transport is an http.RoundTripper that asks Base once and shares the answer. The zero value works: it joins running fetches
// and keeps nothing. Its fields must not change after first use. Its methods may be called concurrently.
//
// Only GET and HEAD requests without Authorization, Cookie, a body, or user information in the URL are shared. All others go to
// Base unchanged. An answer goes to the viewer whose request was sent, and to nobody else, if
//
//   - its Cache-Control forbids sharing it (private, no-store),
//   - it sets a cookie,
//   - it varies by more than 64 fields,
//   - or it may be a decryption key.
//
// Failures of the cache itself are errors that know their status:
//
//   - 502: the answer broke off or does not fit the request ([ErrBroken]), or a hook panicked ([ErrHook]).
//   - 503: MaxFills answers are already being fetched ([ErrBusy]).
//   - 504: the origin sent nothing for Idle, or too little for MinRate ([ErrIdle]).
type Transport struct {
	// Base asks the origin. Nil: http.DefaultTransport, which does not protect internal addresses. If viewers influence the
	// URL, use a guarded one. A fill sends the header of the first viewer without its Range, conditions, Cookie and
	// Authorization, and with "Accept-Encoding: identity". To override what an origin says about caching, let Base change the
	// header of the answer.
	Base http.RoundTripper
	// Store keeps whole answers. Nil: running fetches are joined, and nothing is kept. If it is not a Memory, the bodies of
	// running fetches take at most 256 MiB of the heap, or MaxBody if that is more.
	Store Store
	// TTL returns how long an answer that came whole is fresh, counted from Entry.Time. Zero: it is kept only if it has a
	// validator, and the origin is asked each time whether it is still valid. Negative: it is not kept. TTL must neither change
	// nor retain the Entry. Nil: HLS.
	TTL func(*Entry) time.Duration
	// Key returns the cache key of a request: requests with the same key share one answer. Nil: scheme, host, path and query of
	// the URL, without the parameters that differ between viewers but not between answers (CMCD, _HLS_throughput).
	Key func(*http.Request) string
	// Idle is how long the origin may be silent, before the header and between two reads of the body. Zero: 10 s. Negative: no
	// limit. The header of a blocking playlist reload (_HLS_msn in the URL), and of what a playlist hints at and was not there
	// before, may take at least 60 s. An origin.Proxy in front extends these limits to its own Wait and Idle.
	Idle time.Duration
	// MaxBody is the longest body that is shared or kept in one piece, in bytes. A longer one is fetched and kept in slices of
	// 2 MiB, if there is a Store and the origin gives its length, a strong validator, and ranges. Otherwise each viewer gets a
	// stream of its own, with its own Range. Zero: 64 MiB. Negative: no limit. A body of undeclared length may have no end:
	// while a single viewer follows it, it is no longer kept for others once it has more than 8 MiB.
	MaxBody int64
	// Refs lists the absolute upstream URLs of the segments that a playlist names, as they will be requested. base is the URL
	// of the playlist. A Memory then keeps the segments that live playlists name, and drops them first when they are no longer
	// named. Names in a playlist are known to be segments, and are checked when its encoder starts again. Without Refs, the
	// cache does not know names that contain variables (EXT-X-DEFINE) or inherit parameters. It must not block: viewers get
	// the end of the playlist when it has returned, and while four long playlists are read, others go unread. Nil: no such
	// names are known.
	Refs func(playlist []byte, base string) iter.Seq[string]
	// Ahead is how many of the next segments of a watched rendition are fetched before viewers ask for them. If viewers ask for
	// parts, it counts parts. The package documentation says what is fetched, and when. Zero or negative: none. It has no
	// effect without a Store.
	Ahead int
	// OnFill is called when a request to the origin has ended, unless its answer could not be shared. It is called
	// concurrently, in goroutines of the cache. Nil: nothing is called.
	OnFill func(Fill)

	// Rarely needed.

	// StaleIfError is how long past its TTL an answer is still served when the origin fails (no answer, or 500, 502, 503 or
	// 504). The origin may set another time (stale-if-error, RFC 5861) or forbid it (must-revalidate, proxy-revalidate,
	// no-cache, s-maxage). Zero: as long again as it was fresh. Negative: not at all.
	StaleIfError time.Duration
	// StaleIfGone is how long past its TTL a live playlist is still served when the origin answers 404 or 410, as some do while
	// an encoder starts again. The origin may forbid it as above. Zero: six times its TTL, which is three target durations.
	// Negative: not at all.
	StaleIfGone time.Duration
	// StaleWhileRevalidate is how long past its TTL an answer is served at once while the origin is asked for a new one. The
	// origin may forbid it as above. Zero or negative: only if the origin allows it (stale-while-revalidate).
	StaleWhileRevalidate time.Duration
	// MaxFills is how many answers may be fetched at a time. A request that would need one more fails with ErrBusy, unless an
	// answer that no viewer waits for can be given up for it. After their viewers have left, at most a quarter of MaxFills (or
	// of 1024) go on; the package documentation says which. Fetches ahead take no places from viewers. Answers that are not
	// shared take no places either, unless they are streams of viewers who cannot join a broadcast. Zero: 1024. Negative: no
	// limit.
	MaxFills int
	// MinRate is the lowest average rate, in bytes a second, at which a body of declared length may arrive. It is checked after
	// a minute of waiting; below it the fill fails with ErrIdle. It stops an origin that sends a byte now and then. Zero: 10
	// MiB a minute. Negative: no limit. A body of undeclared length may be a live stream, so a thousandth of this rate is
	// enough for it.
	MinRate int64
	// Ignore lists query parameters, as they are spelled, that differ between viewers but not between answers, for example
	// cache busters ("_", "cachebust"). They are left out of keys, but not of requests: the first viewer's values decide, for
	// all viewers, what the origin sees. The Ignore of an origin.Proxy or a sign.Config in front holds here too and also
	// removes them from requests; prefer it for parameters that viewers may add. Ignore has no effect if Key is set.
	Ignore []string
	// PerViewer turns off sharing for segments and playlists that only a cookie of the origin, or Vary: User-Agent, marks as
	// made for one viewer. By default they are shared below an origin.Proxy that passes on nothing that identifies a viewer
	// (its Header is nil or lists no such field). The cookie is then that of a load balancer: it is neither kept nor sent to
	// anybody. Elsewhere, and for keys and private answers, viewers are always kept apart. A segment here is a file that is
	// media by its name or type, or that a playlist on the same scheme, host and port names.
	PerViewer bool
	// Ring is how many bytes of a broadcast are kept for slower viewers. A broadcast is a body without a length that goes on
	// for 5 s, comes as it is made, and is media but not a segment of a playlist. All viewers of its key share one request to
	// the origin, however long. A viewer in the first 5 s begins with the first byte. Later ones begin at the newest point
	// where a decoder can begin (MPEG-TS, FLV, ADTS and MPEG audio), whatever Range they ask for. If there is no such point, or
	// it has left the ring, each viewer gets a request of its own. So does a viewer who asks a radio for titles (Icy-MetaData).
	// A viewer that falls behind the ring is cut off. The ring holds at most 10 s, and at most an eighth of the bound of a
	// Memory. Small pieces are gathered: a viewer at the live edge is sent what there is four times a second, or whenever 256
	// KiB or a sixteenth of the ring have come. No byte waits for longer than 250 ms. What a playlist names goes on air after a
	// minute, because no segment takes so long; or after 5 s, if it was on air for a minute in the last ten minutes, or if it
	// was on air at all and only playlists on other hosts name it. Zero: 8 MiB. Negative: nothing is broadcast, and each body
	// is treated as one with an end.
	Ring int64
	// Linger is how long a broadcast goes on after its last viewer has left. Zero or negative: it ends at once.
	Linger time.Duration
	// Name is the name of this cache in Cache-Status (RFC 9211), to tell it from others on the way. "": hlsproxy.
	Name string

	count       counters
	hitOnce     sync.Once
	hitNamed    string // statusHit with Name
	prefetching atomic.Int32
	ownPool     sync.Once
	heap        *body.Pool // for running fills, if the Store is no Memory
	channels    channels
	reading     listing.Reader
	ahead       ahead.Guide
	unshareable keySet // keys whose answers proved impossible to share
	failing     keySet // keys for which the origin failed while there was something stale to serve

	places
}

const (
	defaultMaxBody  = 64 << 20
	defaultIdle     = 10 * time.Second
	blockingIdle    = time.Minute
	defaultMaxFills = 1024
	noLimit         = 100 * 365 * 24 * time.Hour
)

// RoundTrip answers from the Store, from a running fill, or by asking Base. The Response belongs to the viewer: its Request is
// r, and its Header is a copy. A shared Body implements io.WriterTo, which writes large pieces and flushes an
// http.ResponseWriter when it has caught up with the origin. A Body that breaks ends with an error, never with io.EOF.
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
	case have.entry.lent || t.isFresh(r, have.entry):
		is := have.entry.Status == http.StatusOK
		if resp := t.serve(r, have, statusHit); resp != nil {
			t.count.hits.Add(1)
			if t.leads() && is {
				scout{t}.asked(r, have.primary, true)
			}
			return resp, nil
		}
		if have.entry.lent {
			have.entry, have.owned = nil, nil
		}
	case t.mayWait(have):
		have.owned = nil // the request to revalidate it is made from it
		if resp := t.serve(r, have, statusHitStale); resp != nil {
			t.renew(r, have)
			t.count.hits.Add(1)
			t.count.stale.Add(1)
			return resp, nil
		}
	}
	// A HEAD costs the origin less than the whole body would.
	alone := have.entry == nil && r.Method == http.MethodHead || t.unshareable.has(have.key, unshareableFor)
	if !t.leads() {
		return t.join(r, have, !alone)
	}
	scout{t}.asked(r, have.primary, false)
	resp, err := t.join(r, have, !alone)
	if err == nil && IsSliced(resp) {
		scout{t}.asked(r, have.primary, true) // each slice is a fill of its own
	}
	return resp, err
}

// serve answers with what was found in the Store. It returns nil if it cannot: the memory was given to another meanwhile, or
// the first slice cannot be fetched.
func (t *Transport) serve(r *http.Request, have lookupResult, status string) *http.Response {
	e := have.entry
	if !borrow(e) {
		return nil
	}
	defer giveBack(e)
	s := source{
		t: t, r: r, entry: e, length: e.length(), status: status, age: true, owned: have.owned, key: have.key, part: have.part,
	}
	resp, err := s.answer()
	if err != nil {
		return nil
	}
	return resp
}

func (t *Transport) leads() bool { return t.Ahead > 0 && t.Store != nil }

// setting is the value of a field: zero stands for the default, and negative for no limit.
func setting[T ~int | ~int64](field, usual, most T) T {
	switch {
	case field < 0:
		return most
	case field == 0:
		return usual
	}
	return field
}

func (t *Transport) maxBody() int64 { return setting(t.MaxBody, defaultMaxBody, math.MaxInt64) }

func (t *Transport) maxFills() int { return setting(t.MaxFills, defaultMaxFills, math.MaxInt) }

func (t *Transport) idle() time.Duration { return setting(t.Idle, defaultIdle, noLimit) }

// pause is how long the origin may pause within a body that is requested with ctx.
func (t *Transport) pause(ctx context.Context) time.Duration {
	return max(t.idle(), min(waits.Idle(ctx), noLimit))
}

// patience is how long the header of the answer to r may take: never less than its viewer is willing to wait.
func (t *Transport) patience(r *http.Request) time.Duration {
	d := max(t.idle(), min(waits.Header(r.Context()), noLimit))
	if hls.IsBlocking(r.URL.RawQuery) {
		return max(d, blockingIdle)
	}
	return d
}

// drips reports whether this many bytes of a body are too few after such a wait. minRate is Transport.MinRate.
func drips(minRate, bytes, length int64, waited time.Duration) bool {
	if waited <= time.Minute || minRate < 0 {
		return false
	}
	rate := float64(setting(minRate, 10<<20/60, minRate))
	if length < 0 {
		rate /= 1000
	}
	return float64(bytes) < rate*waited.Seconds()
}

// memory is the Memory of the Store, nil if it has none.
func (t *Transport) memory() *Memory {
	if s, ok := t.Store.(inMemory); ok {
		return s.memory()
	}
	return nil
}

// pool is the memory for bodies under way: that of the Store if it has one.
func (t *Transport) pool() *body.Pool {
	if m := t.memory(); m != nil {
		return m.pool
	}
	t.ownPool.Do(func() { t.heap = body.NewHeap(max(otherBodies, t.maxBody())) })
	return t.heap
}

// named is a Cache-Status with the name of t instead of the usual one.
func (t *Transport) named(status string) string {
	switch {
	case t.Name == "":
		return status
	case status != statusHit:
		return structured(t.Name) + status[len(cacheName):]
	}
	t.hitOnce.Do(func() { t.hitNamed = structured(t.Name) + statusHit[len(cacheName):] })
	return t.hitNamed
}

// Stats returns the counters as they are now. It may be called at any time.
func (t *Transport) Stats() Stats {
	c := &t.count
	s := Stats{
		Hits: c.hits.Load(), Misses: c.misses.Load(), Joins: c.joins.Load(), Passed: c.passed.Load(),
		Revalidations: c.revalidations.Load(), Stale: c.stale.Load(),
		StoreBytes: c.storeBytes.Load(), FillBytes: c.fillBytes.Load(), OriginBytes: c.originBytes.Load(),
		Prefetched: t.ahead.Fetched.Load(), PrefetchedUsed: t.ahead.Used.Load(),
		Stored: c.stored.Load(), Abandoned: c.abandoned.Load(), Errors: c.errors.Load(),
	}
	t.mu.Lock()
	s.Fills = len(t.flights) + t.filling
	t.mu.Unlock()
	if e, ok := t.Store.(interface{ evictions() uint64 }); ok {
		s.Evictions = e.evictions()
	}
	return s
}

// The calls of hooks; those of the Store are in transport_store.go. A panic of a hook, in a goroutine that is not the viewer's
// own, would end the process. A hook may also end its goroutine (runtime.Goexit, as t.FailNow does); that must leave nobody
// waiting.

func (t *Transport) key(r *http.Request) (key string, err error) {
	if t.Key == nil {
		return string(appendKeyBut(nil, r, t.Ignore)), nil
	}
	defer t.recovered(&err)
	return string(appendMaker([]byte(t.Key(r)), r)), nil
}

func (t *Transport) ttl(e *Entry) (d time.Duration, err error) {
	defer t.recovered(&err)
	return t.TTL(e), nil
}

func (t *Transport) ask(r *http.Request) (resp *http.Response, err error) {
	defer t.recovered(&err)
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	return base.RoundTrip(r)
}

// refs passes what Refs finds to yield.
func (t *Transport) refs(playlist []byte, base string, yield func(ref string) bool) (err error) {
	defer t.recovered(&err)
	if t.Refs == nil {
		return nil
	}
	for ref := range t.Refs(playlist, base) {
		if !yield(ref) {
			break
		}
	}
	return nil
}

// close ends an origin's answer. Its Close is a hook like any other.
func (t *Transport) close(body io.Closer) (err error) {
	defer t.recovered(&err)
	return body.Close()
}

func (t *Transport) recovered(err *error) {
	if p := recover(); p != nil {
		t.count.errors.Add(1)
		*err = hookFault(p)
	}
}

var errExited = hookFault(errors.New("runtime.Goexit"))
