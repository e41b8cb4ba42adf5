package audience

import (
	"hash/maphash"
	"iter"
	"log"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Audience keeps the sessions. The zero value is ready. Its fields must not change after first use; it may then be used
// concurrently, and must not be copied.
type Audience struct {
	// Session names the session of a request, as the session of a sign.Grant does; empty: it has no name. The first 64
	// bytes of a name are shown. Nil: no request has one.
	Session func(*http.Request) string
	// Stream names the stream of a request. Nil: the directory of the first playlist of a session, and all that lies below
	// it. Where paths hide what they lead to, as those of a sign.Sealer do, only Stream knows.
	Stream func(*http.Request) string
	// Key says what [Audience.Limit] counts a session by, such as a token's owner. Nil: the name that Session gives, else
	// the address.
	Key func(*http.Request) string
	// Limit is how many sessions a key may have at once. What it gives for one that is zero or negative: no limit. A
	// session beyond it is answered 429 with Retry-After. One that is in stays in, unless its page was loaded again: a
	// new CMCD session id from the same address and User-Agent takes the place of one that asks for nothing just now, 16
	// times a minute at most, and that one does not come back while the place is taken. With a limit, an id from another
	// address is another session. Nil: no limit.
	Limit func(key string) int
	// Replace lets a session beyond the limit in, and ends the oldest one of the key instead, before next has answered:
	// mount the Audience inside of what decides who may watch.
	Replace bool
	// Proxies are trusted to name the client in X-Forwarded-For, which is read from its end up to the first address that
	// is not one of theirs. Nil: the client is who connects.
	Proxies []netip.Prefix

	// OnStart is called for each new session at its first answer, on the goroutine of that request. Nil: no call.
	OnStart func(Session)
	// OnEnd is called once for each session that began, when it ends, with the reason. It must return soon. Nil: no call.
	OnEnd func(Session, End)
	// OnServed is told of each request when it has been answered, see [Log]. With it a request costs some allocations.
	// Nil: nobody is.
	OnServed func(Served)

	// Idle is how long a session lasts without a request. A request under way, such as a reload that blocks, is not
	// silence. Zero: three target durations of what is watched, from 10 s to 60 s, and 30 s while that is not known.
	// Negative: without end, until [Audience.Kick] or Sessions.
	Idle time.Duration
	// Sessions is how many are kept, at some 400 bytes each. Viewers beyond it are served and not counted. Zero: 100,000.
	// Negative: no limit.
	Sessions int

	once    sync.Once
	begun   time.Time
	epoch   int64 // begun as Unix nanoseconds
	seed    maphash.Seed
	shards  []shard
	holders []holders
	live    atomic.Int64 // sessions kept
	lost    atomic.Uint64
	refused atomic.Uint64
	serial  atomic.Uint64

	streams struct {
		sync.Mutex
		byName   map[string]*stream
		variants int // of all of them
	}
	bans  bans
	timer struct {
		sync.Mutex
		running bool
	}
}

const (
	defaultSessions = 100_000
	shardCount      = 64 // with as many sessions as that, some 1,500 each
	tick            = time.Second
	minIdle         = 10 * time.Second
	maxIdle         = 60 * time.Second
	unknownIdle     = 30 * time.Second
	kickedRest      = time.Minute // a session that was ended must be silent for as long before it may begin again
	maxStreamName   = 512
	maxAgent        = 256
)

func (a *Audience) init() {
	a.once.Do(func() {
		a.begun = time.Now()
		a.epoch = a.begun.UnixNano()
		a.seed = maphash.MakeSeed()
		a.shards = make([]shard, shardCount)
		a.holders = make([]holders, shardCount)
		a.streams.byName = map[string]*stream{}
	})
}

// clock is now in Unix nanoseconds. Only the monotonic clock is read, at half the cost.
func (a *Audience) clock() int64 { return a.epoch + int64(time.Since(a.begun)) }

// Handler counts the requests that pass to next. Of other methods than GET and HEAD, and of pages, scripts and style
// sheets, it takes no notice. A request by the name of one counts if its answer is something else, and breaks off there if
// it is to be refused. The ResponseWriter that next gets implements Unwrap, Flush and ReadFrom; next
// reaches the rest with http.ResponseController.
func (a *Audience) Handler(next http.Handler) http.Handler {
	a.init()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.serve(next, w, r) })
}

// Kick ends the session of this id: its answers break off, and its requests are answered 403 until it has been silent for
// a minute. Where it has no name, no other session of that stream begins at its address and with its User-Agent for a
// minute, so that loading the page again is no way back. It reports false where there is no such session.
func (a *Audience) Kick(id string) bool {
	a.init()
	who, serial, ok := parseID(id)
	if !ok {
		return false
	}
	sh := a.shardOf(who)
	sh.Lock()
	s := sh.byID[who]
	for s != nil && s.serial != serial {
		s = s.next
	}
	if s == nil || s.out {
		sh.Unlock()
		return false
	}
	told := a.expel(s)
	if s.by != ByName {
		a.bans.add(s.place, s.stream, a.clock())
	}
	sh.Unlock()
	a.unhold(s)
	a.ended(s, told, Kicked)
	return true
}

// All gives the sessions one after the other, in no order. Those that begin or end meanwhile may be missing.
func (a *Audience) All() iter.Seq[Session] {
	return func(yield func(Session) bool) {
		a.init()
		a.sweep(a.clock())
		for i := range a.shards {
			for _, s := range a.shards[i].list() {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// Snapshot is what an Audience knows at one moment.
type Snapshot struct {
	At       time.Time // when it was taken
	Streams  []Stream  // by name
	Sessions []Session // in no order
	Refused  uint64    // requests answered 429 or 403 so far
	Lost     uint64    // requests of viewers that there was no room to count
}

// Stream is one that is being watched.
type Stream struct {
	Name    string    // redacted, see Redact
	Since   time.Time // the beginning of the oldest of its sessions
	Viewers int       // sessions now
	Bytes   uint64    // of the answers that have ended while it was watched
}

// hook calls a hook of the caller's. One that panics on the timer's goroutine must not end the process.
func hook(call func()) {
	defer func() {
		if v := recover(); v != nil {
			log.Printf("audience: a hook failed: %v", v)
		}
	}()
	call()
}
